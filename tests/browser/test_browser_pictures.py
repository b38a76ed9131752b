"""The README's pictures, taken by `nox -s browser -- --pictures docs/pictures`. Look at them before you commit them."""

import base64
from pathlib import Path

import nbformat
from playwright.sync_api import Page, expect
from served import Served

# What each lab is shown with: a few lines of text, and cells of which the last one draws.
SHOWN = {
    "pylab": """# Waves
Two tones that are nearly the same, and what one hears of them: a beat.
---
import matplotlib.pyplot as plt
import numpy as np

seconds = np.linspace(0, 1, 2000)
beat = np.sin(2 * np.pi * 40 * seconds) + np.sin(2 * np.pi * 44 * seconds)
---
fig, axes = plt.subplots(figsize=(9, 3.2))
axes.plot(seconds, beat, linewidth=0.8)
axes.set(xlabel="seconds", ylabel="amplitude")
plt.show()""",
    "rlab": """# Cars
The heavier a car, the fewer miles it goes with a gallon.
---
library(dplyr, warn.conflicts = FALSE)
library(ggplot2)
mtcars |> group_by(cyl) |> summarise(cars = n(), mpg = mean(mpg))
---
options(repr.plot.width = 9, repr.plot.height = 3.2)
ggplot(mtcars, aes(wt, mpg)) + geom_point(aes(colour = factor(cyl))) +
  geom_smooth(method = "lm", formula = y ~ x)""",
}
# A third of what PNG takes, and the text stays sharp.
AS_WEBP = """async png => {
  const image = new Image();
  image.src = 'data:image/png;base64,' + png;
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL('image/webp', 0.8).split(',')[1];
}"""
MOST = 60_000


def test_a_picture_of_each_lab(page: Page, lab: Served, pictures: Path) -> None:
    """A notebook that has run, with its plot in sight."""
    kernel = list(lab.lab.kernels)[-1]
    text, *code = SHOWN[lab.lab.image].split("\n---\n")
    new = nbformat.v4
    cells = [new.new_markdown_cell(text), *map(new.new_code_cell, code)]  # type: ignore[no-untyped-call] # it is half annotated
    notebook = new.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    name = f"{text.split()[1].lower()}.ipynb"
    lab.write(name, nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    page.goto(lab.desk(name))
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    picture = page.locator(".jp-OutputArea-output img")
    expect(picture).to_be_visible()
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()
    picture.scroll_into_view_if_needed()
    webp = base64.b64decode(page.evaluate(AS_WEBP, base64.b64encode(page.screenshot()).decode()))
    assert len(webp) < MOST
    (pictures / f"{lab.lab.image}.webp").write_bytes(webp)
