"""The labs' server: reachable from outside the container, in the notebooks, on exactly the port it was given.

Every Jupyter server of the image reads this, whatever starts it. What is said on its command line wins, so what has to
hold is checked at its start, when all is known.
"""

import hmac
import ipaddress
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.base.handlers import FileFindHandler, JupyterHandler
from jupyter_server.serverapp import ServerApp

EX_USAGE = 64
TENSORBOARD_PORT = 6006


class LabIdentityProvider(PasswordIdentityProvider):
    """Jupyter's own token and password. It is asked for its opinion right before the server begins to listen."""

    def cookie_secret_hook(self, h: hmac.HMAC) -> hmac.HMAC:
        """Bind logins to the token, so that a new one ends those that the old one let in."""
        h.update(self.token.encode())
        return super().cookie_secret_hook(h)

    def validate_security(self, app: ServerApp, ssl_options: dict[str, Any] | None = None) -> None:
        """Refuse what would let everybody in, or save nothing; then make link and TensorBoard fit all options."""
        # Its only other word is a warning about listening everywhere, which a container must.
        if self.password_required:
            super().validate_security(app, ssl_options)
        _refuse(_reason(self, app))
        if not os.access(app.root_dir, os.W_OK):
            app.log.warning("%s is mounted read-only: nothing can be saved in it", app.root_dir)
        if not app.custom_display_url:
            local = urlsplit(app.local_url)
            app.custom_display_url = f"{local.scheme}://{local.netloc}"
        os.environ["TENSORBOARD_PROXY_URL"] = f"{app.base_url}proxy/%PORT%/"


def _reason(provider: PasswordIdentityProvider, app: ServerApp) -> str:
    """Return why this server must not start, or nothing."""
    if not provider.auth_enabled:
        return "the token is empty, which would let everybody in; leave the option out for a random one."
    if app.port == TENSORBOARD_PORT:
        return f"port {TENSORBOARD_PORT} is TensorBoard's inside the lab; choose another one."
    folder = Path(app.root_dir)
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    if not (os.access(folder, os.W_OK) or read_only):
        return (
            f"user {os.getuid()} cannot save in {folder}, which belongs to user {folder.stat().st_uid}; "
            f"give it to this user, or start the lab with --user {folder.stat().st_uid}."
        )
    return ""


def _refuse(reason: str) -> None:
    if reason:
        sys.stderr.write(f"start-lab: {reason}\n")
        raise SystemExit(EX_USAGE)


def _token() -> str:
    """Return the token of JUPYTER_TOKEN_FILE. The server itself would take the file's last newline for a part of it."""
    return Path(os.environ["JUPYTER_TOKEN_FILE"]).read_text(encoding="utf-8").strip()


c = get_config()  # noqa: F821 - Jupyter puts it there

# "" is every address, of IPv6 as well. What is published, and where, is decided outside the container.
c.ServerApp.ip = ""
c.ServerApp.port = int(os.environ.get("JUPYTER_PORT") or os.environ.get("PORT") or 8888)
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/home/notebook/notebooks"
load_subconfig("lab_files.py")  # noqa: F821 - and this
load_subconfig("lab_kernels.py")  # noqa: F821 - and this
c.ServerApp.identity_provider_class = LabIdentityProvider
if os.environ.get("JUPYTER_TOKEN_FILE") and not os.environ.get("JUPYTER_TOKEN"):
    c.IdentityProvider.token = _token()
if os.environ.get("JUPYTERHUB_SERVICE_PREFIX"):
    # A hub knows its users, and its proxy the names under which they come.
    os.environ["TENSORBOARD_PROXY_URL"] = os.environ["JUPYTERHUB_SERVICE_PREFIX"] + "proxy/%PORT%/"
else:
    c.ServerApp.allow_remote_access = False

# Runtime files are the container's. With the home folder, logins outlive it.
_DATA = Path(jupyter_data_dir())
_DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
c.ServerApp.cookie_secret_file = str(_DATA / "cookie_secret")

# The trash would be a hidden folder among the notebooks that nobody empties. JupyterLab asks before it deletes.
c.FileContentsManager.delete_to_trash = False
c.FileContentsManager.always_delete_dir = True

# What language servers read of open documents would lie in a hidden folder among the notebooks, too.
c.LanguageServerManager.virtual_documents_dir = f"/tmp/.lab-documents-{os.getuid()}"  # noqa: S108 - made by the server, as its user

# Not on a page that asks for it, either: updates come as a new lock and new images.
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
c.LabApp.news_url = None

# A page that rebinds its own name to the lab's address comes with that name, which has a dot. Addresses are no names,
# and names without a dot are those of this machine and its neighbours.
_check_host = JupyterHandler.check_host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_name(handler: JupyterHandler) -> bool:
    host = handler.request.host_name.strip("[]")
    return "." not in host or _is_address(host) or _check_host(handler)


JupyterHandler.check_host = _check_name

# Installed files all have the same time, whatever their version, and Jupyter answers browsers by nothing else: after an
# upgrade they would keep the old styles and logos. What a server hands out is as old as the server.
_STARTED = datetime.now(UTC).replace(microsecond=0)
FileFindHandler.get_modified_time = lambda _: _STARTED
