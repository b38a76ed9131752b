"""What uv answers, and Python indexes."""
