"""Arguments to a command, its outcome to tables and an exit status."""
