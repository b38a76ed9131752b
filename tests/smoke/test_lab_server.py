"""The server of a running lab: who is let in, what it offers, as whom it runs, and what it says."""

import re
from collections.abc import Iterable
from email.utils import formatdate

from labs import OWNER, Fleet, RunningLab, wait_for
from project import same

LOCALE = """
import locale
locale.setlocale(locale.LC_ALL, "")
print(locale.getlocale(), locale.format_string("%d", 1234567, grouping=True), "\\u00e4")
"""
PROCESSES = """
import pathlib
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        text = (folder / "status").read_text()
    except OSError:  # it has ended since
        continue
    fields = dict(line.split(":", 1) for line in text.splitlines())
    print(folder.name, fields["PPid"].strip(), *fields["Uid"].split(), fields["Name"].strip())
"""
NETWORK_SETTING = re.compile(
    r"(?i)(token|password|index_?url|_index|trusted_?host|\w*_proxy)=\S+|--(extra-)?index-url|--trusted-host"
)
COMPLAINT = re.compile(r"^\[[WEC] .*", re.MULTILINE)


def test_says_its_version_to_everybody(lab: RunningLab) -> None:
    """GET /api needs no token: it is how one asks whether the lab is up."""
    answer = lab.request("GET", "/api", token=None)
    assert answer.status_code == 200
    assert re.fullmatch(r"\d+\.\d+\.\d+", answer.json()["version"])


def test_a_browser_keeps_no_file_of_an_earlier_image(lab: RunningLab) -> None:
    """The old image's copy was as new as all that is installed; this one's is newer, whatever is in it."""

    def status(time: str) -> int:
        asked = lab.request("GET", path, token=lab.token, headers={"If-Modified-Since": time})
        return asked.status_code

    path = "/static/favicons/favicon.ico"
    installed = int(lab.run("stat", "--format", "%Y", "/opt/lab/bin/jupyter"))
    assert status(formatdate(installed, usegmt=True)) == 200
    assert status(lab.get(path).headers["Last-Modified"]) == 304


def test_lets_in_who_has_the_token(lab: RunningLab) -> None:
    """GET /api/status answers to the right token only."""
    answers = {token: lab.request("GET", "/api/status", token=token) for token in (lab.token, None, "", "wrong")}
    assert {token: answer.status_code for token, answer in answers.items()} == {
        lab.token: 200,
        None: 403,
        "": 403,
        "wrong": 403,
    }


def test_offers_the_kernels_of_the_image_graph(lab: RunningLab) -> None:
    """Each in its language. Packages of the lists may bring more."""
    specs = lab.get("/api/kernelspecs").json()["kernelspecs"]
    offered = {name: spec["spec"]["language"] for name, spec in specs.items()}
    assert offered.items() >= lab.lab.kernels.items()


def test_serves_jupyterlab_itself(lab: RunningLab) -> None:
    """The page that the lab's link opens."""
    page = lab.get("/lab")
    assert page.status_code == 200
    assert "<title>JupyterLab</title>" in page.text


def test_saves_files_that_belong_to_the_user(lab: RunningLab) -> None:
    """What the browser saves lies in the mounted folder, with the user's own ids."""
    model = {"type": "file", "format": "text", "content": "saved\n"}
    assert lab.request("PUT", "/api/contents/saved.txt", token=lab.token, json=model).status_code == 201
    saved = lab.folder / "saved.txt"
    assert saved.read_text() == "saved\n"
    assert (saved.stat().st_uid, saved.stat().st_gid) == OWNER


def test_turns_healthy(lab: RunningLab) -> None:
    """Docker's own health check finds the server."""

    def is_healthy() -> bool:
        lab.container.reload()
        return lab.container.health == "healthy"

    wait_for("the health check", is_healthy, timeout=60, evidence=lambda: str(lab.container.attrs["State"]["Health"]))


def test_runs_as_the_user_below_tini(lab: RunningLab) -> None:
    """PID 1 is tini, its child is the server, and nothing runs as anybody but the user that was asked for."""
    assert lab.run("id", "-u").strip() == str(OWNER[0])
    rows = [line.split() for line in lab.run("python", "-c", PROCESSES).splitlines()]
    assert {uid for _, _, *uids, _ in rows for uid in uids} == {str(OWNER[0])}
    assert [name for pid, _, *_, name in rows if pid == "1"] == ["tini"]
    # Processes whose parent has ended are tini's children too.
    assert "jupyter-lab" in [name for _, parent, *_, name in rows if parent == "1"]


def test_has_an_english_utf8_locale(lab: RunningLab) -> None:
    """Programs and Python agree that it is en_US.UTF-8, and no program warns that it is not there."""
    shown = lab.attempt("locale")
    assert shown.stderr == ""
    assert "LANG=en_US.UTF-8" in shown.stdout
    assert lab.run("python", "-c", LOCALE) == "('en_US', 'UTF-8') 1,234,567 \u00e4\n"


def test_starts_without_a_warning(lab: RunningLab) -> None:
    """Nothing that Jupyter itself calls a warning or an error, but of packages that are exempt.

    A package whose warning is well known: name it with the reason in [smoke.exempt] of pyrlab.toml.
    """
    assert "is running at" in lab.start_log
    complaints = COMPLAINT.findall(lab.start_log)
    assert [line for line in complaints if not _is_of(line, lab.exempt)] == []


def test_logs_no_token(lab: RunningLab) -> None:
    """A log is easily shown to others; the token lets in whoever has it."""
    assert lab.token not in lab.log()


def test_knows_nothing_of_the_network_that_it_was_built_in(lab: RunningLab, fleet: Fleet) -> None:
    """Neither the image's layers and environment nor pip's and apt's configuration name an index or a proxy."""
    image = lab.container.image
    assert image is not None
    recorded = [*(layer["CreatedBy"] for layer in image.history()), *(image.attrs["Config"]["Env"] or ())]
    assert [found[0] for text in recorded if (found := NETWORK_SETTING.search(text))] == []
    assert lab.run("python", "-m", "pip", "config", "list") == "install.prefix='/opt/lab/added'\n"
    assert re.findall(r"(?im)^Acquire::\w+::Proxy\b.*", lab.run("apt-config", "dump", "--no-empty")) == []
    used = fleet.project.settings
    proxies = [value for name, value in used.proxies.items() if name != "NO_PROXY"]
    for value in (used.apt_proxy, used.python_index, used.python_trusted_host, *proxies):
        assert not value or value not in "\n".join(recorded)


def _is_of(line: str, names: Iterable[str]) -> bool:
    """Tell whether a line of the log names one of these packages, as a word of its own."""
    text = same(line)
    return any(re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", text) for name in names)
