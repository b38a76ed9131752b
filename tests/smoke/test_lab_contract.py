"""What docs/contract.md promises to those who start the images themselves, with other words, users and folders."""

import functools
import hashlib
import io
import json
import tarfile
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websocket
from containers import docker_client, of_this_run
from docker.types import Mount
from labs import NOTEBOOKS, OWNER, Fleet, Options, RunningLab, wait_for
from packages import r_source, wheel

# Nobody's in any image, and nobody's on most machines.
STRANGER = "54321:65432"
HOME = "/home/notebook"
TMP = "/tmp"  # noqa: S108 - the container's own
# sysexits.h: the command was used incorrectly.
EX_USAGE = 64
PASSPHRASE = "correct horse"  # noqa: S105 - of a lab that lives for seconds
# All that a server answers to who stands beside it, by its own runtime file, whatever its certificate is.
CLIENT = """
import http.cookiejar, json, pathlib, ssl, sys, urllib.parse, urllib.request

server = json.loads(next(pathlib.Path("/tmp").glob(".lab-runtime*/jpserver-*.json")).read_text())
address = f"http{'s' * server['secure']}://127.0.0.1:{server['port']}{server['base_url']}"
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar),
    urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),
)

def ask(path, method="GET", body=None, token=server["token"], **form):
    headers = {"Authorization": f"token {token}"} if token else {}
    data = json.dumps(body).encode() if body else urllib.parse.urlencode(form).encode() if form else None
    return opener.open(urllib.request.Request(address + path, data, headers, method=method), timeout=30)
"""
HOOKS = {
    "10-certificate": """
        #!/bin/sh
        set -- -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=lab
        openssl req -x509 "$@" -keyout /tmp/key.pem -out /tmp/cert.pem 2>/dev/null
        echo "a certificate is made in $PWD"
        """,
    "20-broken": """
        #!/bin/sh
        echo "no such luck" >&2
        exit 3
        """,
    "30-plain": "echo never",
}


def _empty_volume(target: str) -> Mount:
    """Return a mount of a new volume, which belongs to root. The engine would fill it from the image."""
    return Mount(target, source=None, type="volume", no_copy=True)


@pytest.mark.parametrize("options", [{}, {"user": STRANGER}], ids=["user-of-the-image", "any-user"])
def test_runs_a_first_word_that_is_a_command(fleet: Fleet, lab_name: str, options: Options) -> None:
    """In the notebooks folder, with the lab's programs, and with the command's own exit status."""
    script = 'echo "$PWD $(command -v python)"; echo kept >written; cat written; exit 3'
    chosen: Options = {**options, "command": ["sh", "-c", script]}
    ended = fleet.finish(lab_name, **chosen)
    assert (ended.status, ended.stdout) == (3, f"{NOTEBOOKS} /opt/lab/bin/python\nkept\n"), ended.stderr


def test_has_the_lab_in_login_shells(fleet: Fleet, lab_name: str) -> None:
    """Which take their PATH from Debian's /etc/profile."""
    ended = fleet.finish(lab_name, command=["bash", "-lc", "command -v python jupyter && echo $PATH"])
    *found, path = ended.stdout.splitlines()
    assert found == ["/opt/lab/bin/python", "/opt/lab/bin/jupyter"]
    assert path.endswith(":/home/notebook/.local/bin")


def test_gives_any_user_a_name(fleet: Fleet, lab_name: str) -> None:
    """And a home folder; also where the image cannot be written to. The image's own user is who he is."""
    facts = "id -un; id -gn; getent passwd $(id -u) | cut -d : -f 3-"
    uid, gid = STRANGER.split(":")
    options: Options = {"user": STRANGER, "read_only": True, "tmpfs": [TMP], "command": ["sh", "-c", facts]}
    ended = fleet.finish(lab_name, **options)
    assert ended.stdout.splitlines() == ["notebook", "notebook", f"{uid}:{gid}::{HOME}:/bin/bash"]
    ended = fleet.finish(lab_name, command=["sh", "-c", f"id -u; {facts}"])
    assert ended.stdout.splitlines() == ["1000", "notebook", "notebook", f"1000:1000::{HOME}:/bin/bash"]


@pytest.mark.needs(debs=["git"])
def test_commits_by_git_as_any_user(fleet: Fleet, lab_name: str) -> None:
    """What git is told once lasts in the home folder, and the notebooks' folder is taken for the user's own."""
    script = """
        set -e
        git config --global user.name me
        git config --global user.email me@example.org
        git init --quiet work && cd work
        echo x >x && git add x && git commit --quiet --message First
        git log --format='%an <%ae> %s'
    """
    ended = fleet.finish(lab_name, user=STRANGER, command=["sh", "-c", script])
    assert ended.stdout == "me <me@example.org> First\n", ended.stderr


@pytest.mark.needs(debs=["openssh-client"])
def test_uses_ssh_as_any_user(fleet: Fleet, lab_name: str) -> None:
    """Where their user has no name, ssh and ssh-keygen end at once: "No user exists for uid"."""
    script = "mkdir -m 0700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id && ssh -G nowhere | grep '^user '"
    ended = fleet.finish(lab_name, user=STRANGER, command=["sh", "-c", script])
    assert (ended.status, ended.stdout) == (0, "user notebook\n"), ended.stderr


def test_opens_a_terminal_as_the_user(lab: RunningLab) -> None:
    """A shell of theirs, with their name, in the notebooks' folder."""
    name = lab.request("POST", "/api/terminals", token=lab.token).json()["name"]
    address = f"{lab.url.replace('http', 'ws', 1)}/terminals/websocket/{name}"
    connection = websocket.create_connection(address, timeout=30, header=[f"Authorization: token {lab.token}"])
    shown = ""
    try:
        connection.send(json.dumps(["stdin", "echo =$(id -un) $(id -u) $PWD=\r"]))
        # What is typed is shown as well; it has `$` in the place of the answer. Silence ends in a timeout.
        while f"=notebook {OWNER[0]} {NOTEBOOKS}=" not in shown:
            kind, *texts = json.loads(connection.recv())
            shown += "".join(map(str, texts)) if kind == "stdout" else ""
            assert kind != "disconnect", shown
    finally:
        connection.close()
        lab.request("DELETE", f"/api/terminals/{name}", token=lab.token)


def test_leaves_no_traces_of_how_it_was_built(fleet: Fleet, lab_name: str) -> None:
    """The home folder is that of a new user, and where everybody may write lies nothing."""
    ended = fleet.finish(lab_name, command=["find", HOME, "/tmp", "/var/tmp", "/opt/lab/added", "-type", "f"])  # noqa: S108
    expected = fleet.finish(lab_name, command=["find", "/etc/skel", "-type", "f"]).stdout.replace("/etc/skel", HOME)
    left = set(ended.stdout.splitlines()) - set(expected.splitlines())
    assert [path for path in left if not path.endswith("/site-packages/README.txt")] == []
    folders = fleet.finish(lab_name, command=["find", HOME, "-mindepth", "1", "-type", "d"])
    assert folders.stdout.splitlines() == [NOTEBOOKS]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"mounts": [_empty_volume(HOME)]}, f"cannot write in {HOME}, which belongs to user 0", id="home"),
        pytest.param(
            {"mounts": [_empty_volume(NOTEBOOKS)]},
            f"cannot save in {NOTEBOOKS}, which belongs to user 0",
            id="notebooks",
        ),
        pytest.param({"read_only": True}, f"add --tmpfs /tmp --tmpfs {HOME}", id="read-only"),
        pytest.param({"command": ["--port=6006"]}, "TensorBoard", id="port-of-tensorboard"),
        pytest.param({"command": ["--IdentityProvider.token="]}, "let everybody in", id="empty-token"),
    ],
)
def test_refuses_what_would_fail_later(fleet: Fleet, lab_name: str, options: Options, reason: str) -> None:
    """Its last words are why, and what to do."""
    ended = fleet.finish(lab_name, **options)
    assert ended.status == EX_USAGE
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("start-lab: ")
    assert reason in last


def test_saves_in_an_empty_home_folder(fleet: Fleet, lab_name: str) -> None:
    """As --tmpfs makes one, and a volume of Kubernetes."""
    command = ["sh", "-c", "echo saved >x && cat $HOME/notebooks/x"]
    options: Options = {"user": STRANGER, "read_only": True, "tmpfs": [TMP, HOME], "command": command}
    ended = fleet.finish(lab_name, **options)
    assert ended.stdout == "saved\n", ended.stderr


def test_deletes_what_is_deleted(lab: RunningLab) -> None:
    """Folders too, and no hidden one appears among the user's files."""
    models = {"gone": {"type": "directory"}, "gone/x": {"type": "file", "format": "text", "content": ""}}
    for path, model in models.items():
        assert lab.request("PUT", f"/api/contents/{path}", token=lab.token, json=model).status_code == 201
    assert lab.request("DELETE", "/api/contents/gone", token=lab.token).status_code == 204
    assert [path.name for path in lab.folder.iterdir() if path.name == "gone" or path.name.startswith(".Trash")] == []


def test_serves_by_https_below_a_prefix(fleet: Fleet, lab_name: str) -> None:
    """Options, hooks and a hashed password: link, health check and TensorBoard's address are right with all of them."""
    salted = hashlib.sha256(f"{PASSPHRASE}salt".encode()).hexdigest()
    options = [
        *("--ServerApp.certfile=/tmp/cert.pem", "--ServerApp.keyfile=/tmp/key.pem", "--ServerApp.base_url=/deep/er"),
        f"--PasswordIdentityProvider.hashed_password=sha256:salt:{salted}",
    ]
    environment = {"JUPYTER_PORT": "7778"}
    with fleet.another(lab_name, environment, prepare=_write_hooks, network="none", command=options) as lab:
        links = {word for word in lab.start_log.split() if "://" in word}
        assert links == {"https://127.0.0.1:7778/deep/er/lab?token=..."}
        assert f"a certificate is made in {NOTEBOOKS}" in lab.start_log
        assert "no such luck" in lab.start_log
        assert "20-broken failed with status 3" in lab.start_log
        assert "30-plain is no executable file" in lab.start_log
        script = f"""
            ask("login", token=None)
            xsrf, = (cookie.value for cookie in jar if cookie.name == "_xsrf")
            ask("login", "POST", token=None, password={PASSPHRASE!r}, _xsrf=xsrf)
            print(ask("api/status", token=None).status)
            ask("api/kernels", "POST", body={{"name": {lab.kernel("python")!r}}})
        """
        assert lab.run("python", "-c", CLIENT + textwrap.dedent(script)) == "200\n"
        told = "TENSORBOARD_PROXY_URL=/deep/er/proxy/%PORT%/"
        show = ["sh", "-c", "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"]
        # A kernel's process may just be beginning.
        wait_for("the kernel to be told of TensorBoard", lambda: told in lab.attempt(*show).stdout, timeout=30)


def test_is_a_base_for_other_images(fleet: Fleet, lab_name: str) -> None:
    """A child adds a Python package, an R package and a Debian package; it runs its own command, as any user."""
    languages = set(fleet.project.graph.find_lab(lab_name).kernels.values())
    with _child(fleet.project.settings.tag(lab_name), r="R" in languages) as tag:
        client = docker_client()
        try:
            run = functools.partial(client.containers.run, tag, remove=True, network="none")
            assert run(user=STRANGER).decode() == "Python's\nDebian's\n"
            assert b"Successfully uninstalled tiny" in run(["pip", "uninstall", "--yes", "tiny"])
            if "R" in languages:
                assert run(["Rscript", "-e", "cat(tiny::whose())"], user=STRANGER).decode() == "R's"
        finally:
            client.close()


def _write_hooks(folder: Path) -> None:
    hooks = folder / ".pyrlab" / "start.d"
    hooks.mkdir(parents=True)
    for name, text in HOOKS.items():
        (hooks / name).write_text(textwrap.dedent(text).lstrip())
        (hooks / name).chmod(0o644 if name.endswith("plain") else 0o755)


@contextmanager
def _child(parent: str, *, r: bool) -> Iterator[str]:
    """Build an image as people do, without a network, and return its tag."""
    install_r = "RUN Rscript -e 'install.packages(\"/srv/tiny\", repos = NULL)' && Rscript -e 'library(tiny)'"
    lines = [
        f"FROM {parent}",
        "COPY . /srv/",
        "RUN pip install --no-index /srv/tiny-1.0-py3-none-any.whl",
        *([install_r] if r else []),
        "USER root",
        "RUN dpkg-deb --build /srv/deb /srv/tiny.deb && apt-get install --yes /srv/tiny.deb",
        "USER notebook",
        'CMD ["sh", "-c", "python -m tiny && cat /usr/share/tiny"]',
    ]
    client = docker_client()
    tag = f"pyrlab-smoke-child:{uuid.uuid4().hex}"
    try:
        # The engine reads the Dockerfile out of the context.
        context = _context({"Dockerfile": "\n".join(lines).encode()})
        client.images.build(
            fileobj=context, custom_context=True, network_mode="none", tag=tag, rm=True, labels=of_this_run()
        )
        yield tag
    finally:
        client.images.remove(tag, force=True)
        client.close()


def _context(files: dict[str, bytes]) -> io.BytesIO:
    """Return a tar with ``files`` and with a package of each kind, all called tiny."""
    control = "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: a test <a@example.org>\nDescription: tiny\n"
    packages = {
        **wheel("tiny", "1.0"),
        **r_source("tiny", "1.0"),
        "deb/DEBIAN/control": control.encode(),
        "deb/usr/share/tiny": b"Debian's\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in {**packages, **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    buffer.seek(0)
    return buffer
