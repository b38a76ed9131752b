"""R packages as repositories describe them: versions and bounds, what fits together, and why when nothing does."""
