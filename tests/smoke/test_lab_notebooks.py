"""Real notebooks, executed in the lab: what their cells put out is compared, not only that none fails."""

from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest
from kernels import is_png
from labs import RunningLab

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
# With less than these, nbconvert's template finds no TeX package or no font that it wants.
PDF = ["pandoc", "texlive-fonts-recommended", "texlive-latex-extra", "texlive-plain-generic", "texlive-xetex"]


@pytest.mark.language("python")
def test_arithmetic(lab: RunningLab) -> None:
    """Plain Python, without any package."""
    printed, _ = execute(lab, "arithmetic.ipynb", "python")
    assert printed == ["sum 5050", "mean 50.5", "1/3 + 1/6 = 1/2"]


@pytest.mark.language("python")
@pytest.mark.needs(python=["matplotlib", "numpy", "pandas", "scikit-learn", "statsmodels"])
def test_regression(lab: RunningLab) -> None:
    """A regression whose numbers are known in closed form: intercept 25/11, slope 97/33, forecast 95/3."""
    printed, pictures = execute(lab, "regression.ipynb", "python")
    assert printed == [
        "pandas: mean y of even x 15.000000, of odd x 16.000000",
        "numpy: intercept 2.272727, slope 2.939394",
        "statsmodels: intercept 2.272727, slope 2.939394, R squared 0.986579",
        "scikit-learn: intercept 2.272727, slope 2.939394, forecast for x = 10 31.666667",
    ]
    assert [is_png(picture) for picture in pictures] == [True]


@pytest.mark.language("R")
@pytest.mark.needs(r=["dplyr", "ggplot2"])
def test_dplyr_ggplot2(lab: RunningLab) -> None:
    """R's own mtcars by cylinders, and a plot of it."""
    printed, pictures = execute(lab, "dplyr_ggplot2.ipynb", "R")
    assert printed == [
        "4 cylinders: 11 cars, 26.66 mpg",
        "6 cylinders: 7 cars, 19.74 mpg",
        "8 cylinders: 14 cars, 15.10 mpg",
        "mpg = 37.285 - 5.344 * wt",
    ]
    assert [is_png(picture) for picture in pictures] == [True]


@pytest.mark.needs(debs=PDF)
def test_exports_pdf(lab: RunningLab) -> None:
    """A notebook with a formula becomes PDF, by way of pandoc and XeTeX."""
    lab.run("jupyter", "nbconvert", "--to", "pdf", "--output", "formula", lab.add(NOTEBOOKS / "arithmetic.ipynb"))
    pdf = (lab.folder / "formula.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")


def execute(lab: RunningLab, name: str, language: str) -> tuple[list[str], Sequence[str]]:
    """Execute a notebook with the lab's kernel of a language. Return its printed lines, and its PNGs in base64."""
    chosen = f"--ExecutePreprocessor.kernel_name={lab.kernel(language)}"
    source = lab.add(NOTEBOOKS / name)
    lab.run("jupyter", "nbconvert", "--to", "notebook", "--execute", chosen, "--output", f"executed-{name}", source)
    notebook = nbformat.read(lab.folder / f"executed-{name}", as_version=4)  # type: ignore[no-untyped-call] # it is half annotated
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return printed.splitlines(), pictures
