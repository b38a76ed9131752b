"""CRAN-like repositories and the packages in them."""
