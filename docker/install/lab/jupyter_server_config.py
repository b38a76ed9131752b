"""The labs' server: reachable from outside the container, in the notebooks, on exactly the port it was given."""

import os

c = get_config()  # noqa: F821 - Jupyter puts it there

c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - what is published, and where, is decided outside the container
c.ServerApp.open_browser = False
c.ServerApp.port_retries = 0
c.ServerApp.root_dir = "/home/notebook/notebooks"
c.ServerApp.custom_display_url = f"http://127.0.0.1:{os.environ.get('PORT', '8888')}/lab"
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}
