"""What pip-compile answers, and Python indexes."""
