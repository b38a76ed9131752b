"""The Docker engine, BuildKit, and what build steps print."""
