"""The labs' server: reachable from outside the container, in the notebooks, on exactly the port it was given."""

import os
from datetime import UTC, datetime

from jupyter_server.base.handlers import FileFindHandler

c = get_config()  # noqa: F821 - Jupyter puts it there

c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - what is published, and where, is decided outside the container
c.ServerApp.open_browser = False
c.ServerApp.port_retries = 0
c.ServerApp.root_dir = "/home/notebook/notebooks"
c.ServerApp.custom_display_url = f"http://127.0.0.1:{os.environ.get('PORT', '8888')}/lab"
c.ServerApp.terminado_settings = {"shell_command": ["/bin/bash"]}

# Installed files all have the same time, whatever their version, and Jupyter answers browsers by nothing else: after an
# upgrade they would keep the old styles and logos. What a server hands out is as old as the server.
_STARTED = datetime.now(UTC).replace(microsecond=0)
FileFindHandler.get_modified_time = lambda _: _STARTED
