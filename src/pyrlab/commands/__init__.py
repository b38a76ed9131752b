"""One a Nox session."""
