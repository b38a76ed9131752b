"""Kernels over the websocket: text, errors, plots, interrupt, restart, and files that belong to the user."""

import pytest
from kernels import Kernel, is_png
from labs import OWNER, RunningLab

# By language: code that does the same in each.
PRINT = {"python": "print(6 * 7)", "R": "cat(6 * 7)"}
FAIL = {
    "python": "def broken():\n    raise ValueError('no such luck')\nbroken()",
    "R": "broken <- function() stop('no such luck')\nbroken()",
}
ENDLESS = {
    "python": "import time\nprint('begun', flush=True)\nwhile True:\n    time.sleep(0.05)",
    "R": "cat('begun\\n')\nrepeat Sys.sleep(0.05)",
}
ASSIGN = {"python": "kept = 1", "R": "kept <- 1"}
EXISTS = {"python": "print('kept' in globals())", "R": "cat(exists('kept'))"}
WRITE = {"python": "open('by-python', 'w').close()", "R": "invisible(file.create('by-R'))"}


def test_prints(kernel: Kernel) -> None:
    """What a cell prints comes back."""
    answer = kernel.execute(PRINT[kernel.language])
    assert (answer.status, answer.stdout.strip()) == ("ok", "42")


def test_shows_errors_with_their_traceback(kernel: Kernel) -> None:
    """An error comes back with its message and with the function that raised it."""
    answer = kernel.execute(FAIL[kernel.language])
    assert answer.status == "error"
    assert "no such luck" in answer.errors[0]["evalue"]
    assert "broken" in "\n".join(answer.errors[0]["traceback"])


def test_survives_an_interrupt(kernel: Kernel) -> None:
    """An endless loop can be stopped, and the kernel still knows what it knew before."""
    kernel.execute(ASSIGN[kernel.language])
    answer = kernel.execute_until("begun", ENDLESS[kernel.language], kernel.client.interrupt)
    assert answer.status != "ok"
    assert kernel.execute(EXISTS[kernel.language]).stdout.strip().lower() == "true"


def test_forgets_all_at_a_restart(kernel: Kernel) -> None:
    """A restarted kernel answers, and has no variables."""
    kernel.execute(ASSIGN[kernel.language])
    kernel.restart()
    assert kernel.execute(EXISTS[kernel.language]).stdout.strip().lower() == "false"


def test_writes_files_that_belong_to_the_user(kernel: Kernel, lab: RunningLab) -> None:
    """A kernel starts in the mounted notebooks, and what it writes there is its user's on the host too."""
    assert kernel.execute(WRITE[kernel.language]).status == "ok"
    written = (lab.folder / f"by-{kernel.language}").stat()
    assert (written.st_uid, written.st_gid) == OWNER


@pytest.mark.language("python")
@pytest.mark.needs(python=["matplotlib"])
def test_draws_with_matplotlib(kernel: Kernel) -> None:
    """A figure comes back as PNG without further ado."""
    answer = kernel.execute("import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()")
    assert [is_png(picture) for picture in answer.data("image/png")] == [True], answer


@pytest.mark.language("R")
def test_draws_with_base_graphics(kernel: Kernel) -> None:
    """R's own plot() comes back as PNG."""
    answer = kernel.execute("plot(1:3, c(1, 4, 9))")
    assert [is_png(picture) for picture in answer.data("image/png")] == [True], answer


@pytest.mark.language("R")
@pytest.mark.needs(r=["ggplot2"])
def test_draws_with_ggplot2(kernel: Kernel) -> None:
    """The value of ggplot() comes back as PNG."""
    answer = kernel.execute(
        "library(ggplot2)\nggplot(mtcars, aes(wt, mpg)) + geom_point() + geom_smooth(method = 'lm')"
    )
    assert [is_png(picture) for picture in answer.data("image/png")] == [True], answer
