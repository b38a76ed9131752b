"""The four images, their parents and what each lab offers: the only place where the graph is written."""

from dataclasses import dataclass

from pyrlab.errors import UsageError

# What the images cannot do without, whether or not the lists name it.
REQUIRED_DEBS = ("ca-certificates", "locales", "tini")
REQUIRED_R_DEBS = ("r-base-core",)
REQUIRED_PYTHON = ("ipykernel", "jupyter-server-proxy", "jupyterlab", "nbconvert", "pip")
REQUIRED_R = ("IRkernel",)
# What the bootstrapped root holds beside Debian's essential packages: enough to run pip-compile in it.
ROOT_DEBS = ("ca-certificates", "python3", "python3-venv")
# TensorBoard's default: a lab on it would hide TensorBoard behind the lab's proxy, or the other way round.
RESERVED_PORT = 6006


@dataclass(frozen=True, slots=True)
class Image:
    """An image, the one it stands on, the locks that are named on it, and the sections of locks that it installs."""

    name: str
    parent: str | None
    locks: tuple[str, ...]
    sections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lab:
    """An image that people open: its kernels as {kernelspec: language}, and its port with what moves it.

    ``port_key`` is the key of pyrlab.toml's [serve], ``port_variable`` the name in the environment.
    """

    image: str
    kernels: dict[str, str]
    port: int
    port_key: str
    port_variable: str


# As many as docker/Dockerfile has `part-N` stages.
PARTS = 6
IMAGES = {
    image.name: image
    for image in (
        Image("pyrlab-base", parent=None, locks=("debs.lock",), sections=("pyrlab-base.debs", "jupyter.txt")),
        Image(
            "pylab",
            parent="pyrlab-base",
            locks=("requirements.lock",),
            sections=tuple(f"part-{part}.txt" for part in range(PARTS)),
        ),
        Image("rlab-base", parent="pyrlab-base", locks=("debs.lock",), sections=("rlab-base.debs",)),
        Image(
            "rlab",
            parent="rlab-base",
            locks=("r_packages.lock",),
            sections=("rlab.debs", "rlab-build.debs", "r-plan.json", "r-library.txt"),
        ),
    )
}
LABS = {
    lab.image: lab
    for lab in (
        Lab("pylab", kernels={"python3": "python"}, port=8888, port_key="port", port_variable="PORT"),
        Lab("rlab", kernels={"python3": "python", "ir": "R"}, port=9999, port_key="r_port", port_variable="RPORT"),
    )
}


def lineage(name: str) -> list[Image]:
    """Return the image called ``name`` and all that it stands on, the root's side first."""
    image = IMAGES[name]
    return [*(lineage(image.parent) if image.parent else []), image]


def locks_of(name: str) -> list[str]:
    """Return the file names of the locks that decide what the image holds."""
    return sorted({lock for image in lineage(name) for lock in image.locks})


def sections_of(name: str) -> list[str]:
    """Return the file names of all sections that the image and those below it install."""
    return [section for image in lineage(name) for section in image.sections]


def find_image(name: str) -> Image:
    """Return the image called ``name``. Raises UsageError with the names that there are."""
    if name not in IMAGES:
        raise UsageError(f"there is no image called {name!r}", remedy=f"choose from: {', '.join(IMAGES)}")
    return IMAGES[name]


def find_lab(name: str) -> Lab:
    """Return the lab called ``name``. Raises UsageError with the names that there are."""
    if name not in LABS:
        raise UsageError(f"there is no lab called {name!r}", remedy=f"choose from: {', '.join(LABS)}")
    return LABS[name]
