"""What the default lists bring for every day does its work in the labs, for any user."""

import json
import re

import pytest
from kernels import Kernel
from labs import NOTEBOOKS, RunningLab, wait_for

USETEX = r"""
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
plt.rcParams["text.usetex"] = True
plt.title(r"$\frac{a}{b}$ für é")
plt.savefig("usetex.png")
"""


def test_every_extension_of_jupyterlab_fits_it(lab: RunningLab) -> None:
    """An extension that was made for another JupyterLab is not loaded, and only this list says so."""
    listed = lab.attempt("jupyter", "labextension", "list").stderr
    extensions = re.findall(r"^ +(\S+ v\S+) (.*)$", listed, re.MULTILINE)
    assert extensions, listed
    assert [name for name, state in extensions if not re.search(r"enabled.*OK", state)] == []


@pytest.mark.needs(debs=["git"], python=["jupyterlab-git"])
def test_git_in_the_sidebar(lab: RunningLab) -> None:
    """It sees a file that is new in a repository."""
    lab.run("git", "init", "--quiet", "repository")
    lab.run("touch", "repository/new.txt")
    status = lab.request("POST", "/git/repository/status", token=lab.token, json={}).json()
    assert [file["to"] for file in status["files"]] == ["new.txt"]


@pytest.mark.needs(python=["jupyterlab-lsp", "python-lsp-server"])
def test_a_language_server_for_python(lab: RunningLab) -> None:
    """It is offered to JupyterLab, and what it keeps of open documents does not lie among the notebooks."""
    wait_for("a server for Python", lambda: "pylsp" in lab.get("/lsp/status").json()["sessions"], timeout=30)
    config = re.search(
        r'<script id="jupyter-config-data" type="application/json">(.*?)</script>', lab.get("/lab").text, re.DOTALL
    )
    assert config
    documents = json.loads(config[1])["virtualDocumentsUri"].removeprefix("file://")
    assert not documents.startswith(NOTEBOOKS)


@pytest.mark.needs(debs=["openssh-client"])
def test_ssh_knows_its_user(lab: RunningLab) -> None:
    """It does nothing at all for a user id without a name."""
    assert "\nport 22\n" in lab.run("ssh", "-G", "somewhere.example")


@pytest.mark.needs(debs=["cm-super-minimal", "dvipng", "texlive-latex-extra"], python=["matplotlib"])
def test_latex_sets_the_text_of_plots(lab: RunningLab) -> None:
    """To set text by LaTeX, matplotlib wants dvipng and the fonts of type1ec."""
    lab.run("python", "-c", USETEX)
    assert (lab.folder / "usetex.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.language("python")
@pytest.mark.needs(python=["ipympl"])
def test_plots_to_zoom_into(kernel: Kernel) -> None:
    """`%matplotlib widget` shows a widget instead of a picture."""
    answer = kernel.execute("%matplotlib widget\nimport matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()")
    assert answer.status == "ok", answer
    assert answer.data("application/vnd.jupyter.widget-view+json"), answer


@pytest.mark.language("R")
@pytest.mark.needs(r=["RSQLite", "forecast", "tidyverse"])
def test_r_for_every_day(kernel: Kernel) -> None:
    """A table goes through SQLite and comes back, and a forecast is one."""
    answer = kernel.execute(
        "suppressPackageStartupMessages({library(tidyverse); library(forecast)})\n"
        "there <- DBI::dbConnect(RSQLite::SQLite(), ':memory:')\n"
        "DBI::dbWriteTable(there, 'cars', mtcars)\n"
        "cat(DBI::dbGetQuery(there, 'SELECT count(*) AS n FROM cars')$n, '')\n"
        "cat(length(forecast(AirPassengers, h = 12)$mean))"
    )
    assert (answer.status, answer.stdout.strip()) == ("ok", "32 12"), answer
