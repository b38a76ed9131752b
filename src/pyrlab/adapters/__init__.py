"""One program, protocol or file format each, and what it says as our errors."""
