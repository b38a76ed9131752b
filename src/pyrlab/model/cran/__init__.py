"""What R itself defines, without network or files: versions and their order."""
