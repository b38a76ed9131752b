"""Four package lists in, four verified JupyterLab images out."""

__version__ = "0.1.0"
