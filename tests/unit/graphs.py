"""The project's own image graph, and one with a fifth image."""

from pathlib import Path

from pyrlab.model.graph import Graph

SOURCE = Path(__file__).parents[2]
TEXT = (SOURCE / "docker/images.toml").read_text(encoding="utf-8")
GRAPH = Graph.parse(TEXT)
FIFTH = """
[image.dashlab]
parent = "pyrlab-base"
python = "dash.in"
debs = "dash_debs.txt"

[image.dashlab.lab]
port = 7777
port_key = "dash_port"
port_variable = "DASHPORT"
kernels = { python3 = "python" }
"""
FIVE = Graph.parse(TEXT + FIFTH)
