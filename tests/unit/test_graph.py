"""The image graph: read from one file, asked by everybody."""

import pytest
from graphs import FIFTH, FIVE, GRAPH, TEXT

from pyrlab.errors import UsageError
from pyrlab.model.graph import Graph, Image, Lab, lock_of


def test_the_four_images_and_their_locks() -> None:
    assert list(GRAPH.images) == ["pyrlab-base", "pylab", "rlab-base", "rlab"]
    assert {name: lab.port for name, lab in GRAPH.labs.items()} == {"pylab": 8888, "rlab": 9999}
    assert GRAPH.locks_of("pylab") == ["debs.lock", "requirements.lock"]
    assert GRAPH.locks_of("rlab") == ["debs.lock", "r_packages.lock"]
    assert [image.name for image in GRAPH.lineage("rlab")] == ["pyrlab-base", "rlab-base", "rlab"]


def test_a_fifth_image_is_data() -> None:
    assert FIVE.locks_of("dashlab") == ["dash.lock", "debs.lock"]
    assert FIVE.labs["dashlab"].port_variable == "DASHPORT"
    assert [image.name for image in FIVE.with_python] == ["pylab", "dashlab"]
    assert [image.name for image in FIVE.with_debs] == ["pyrlab-base", "rlab-base", "dashlab"]


def test_parents_come_before_their_children() -> None:
    turned = TEXT.replace("[image.pyrlab-base]", "[image.rlab2]\nparent = 'rlab-base'\n\n[image.pyrlab-base]")
    assert list(Graph.parse(turned).images).index("rlab2") > list(Graph.parse(turned).images).index("rlab-base")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('parent = "rlab-base"', 'parent = "none"', "rlab stands on none, which is no image", id="parent"),
        pytest.param('python = "requirements.in"', 'phyton = "x"', "phyton", id="unknown-key"),
        pytest.param('python = "requirements.in"', 'r = "x.txt"', "two images have a list of R packages", id="two-r"),
        pytest.param('debs = "base_debs.txt"\n', "", "needs a list of Debian packages", id="no-debs"),
        pytest.param("[shared]", "[shred]", "'shared'", id="no-shared"),
        pytest.param("[image.pylab]", "[image.'Py lab']", "cannot be called 'Py lab'", id="name"),
        pytest.param("[image.pylab]", "[image.shared]", "cannot be called 'shared'", id="taken"),
        pytest.param("[root]", "[root", "cannot be read", id="no-toml"),
        pytest.param('parent = "pyrlab-base"\ndebs', "debs", "exactly one image stands on the root", id="two-roots"),
    ],
)
def test_a_graph_that_cannot_be(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(UsageError, match=r"docker/images\.toml cannot be read") as caught:
        Graph.parse(TEXT.replace(old, new))
    assert says in str(caught.value)


@pytest.mark.parametrize("find", [GRAPH.find_image, GRAPH.find_lab], ids=["image", "lab"])
def test_an_unknown_name_is_answered_with_those_there_are(find: object) -> None:
    with pytest.raises(UsageError) as caught:
        find("pilab")  # type: ignore[operator]
    assert "pylab" in caught.value.remedy


def test_locks_are_called_like_their_lists() -> None:
    assert [lock_of(name) for name in ("requirements.in", "r_packages.txt")] == ["requirements.lock", "r_packages.lock"]


SMALL = """
[root]
debs = ["python3"]
[shared]
image = "lab"
python = ["jupyterlab", "pip"]
python_if_locked = ["notebook"]
[image.lab]
parent = "base"
python = "lab.in"
r = "lab.txt"
r_needed = ["IRkernel"]
[image.lab.lab]
port = 1234
port_key = "lab_port"
port_variable = "LABPORT"
kernels = { ir = "R" }
[image.base]
debs = "base.txt"
debs_needed = ["tini", "locales"]
"""


def test_a_graph_is_what_its_file_says() -> None:
    lab = Lab(image="lab", kernels={"ir": "R"}, port=1234, port_key="lab_port", port_variable="LABPORT")
    base = Image("base", debs="base.txt", debs_needed=("tini", "locales"))
    above = Image("lab", parent="base", python="lab.in", r="lab.txt", r_needed=("IRkernel",), lab=lab)
    read = Graph.parse(SMALL)
    assert read == Graph({"base": base, "lab": above}, ("python3",), "lab", ("jupyterlab", "pip"), ("notebook",))
    assert list(read.images) == ["base", "lab"]
    assert (read.with_r, read.with_python, read.with_debs) == (above, [above], [base])
    assert (above.lists, base.lists) == (("lab.in", "lab.txt"), ("base.txt",))
    assert read.labs == {"lab": lab}


@pytest.mark.parametrize(
    ("name", "of", "message"),
    [
        pytest.param("pilab", "image", "there is no image called 'pilab'", id="image"),
        pytest.param("base", "lab", "there is no lab called 'base'", id="image-that-is-no-lab"),
    ],
)
def test_an_unknown_name_is_said(name: str, of: str, message: str) -> None:
    read = Graph.parse(SMALL)
    with pytest.raises(UsageError) as caught:
        read.find_image(name) if of == "image" else read.find_lab(name)
    names = "base, lab" if of == "image" else "lab"
    assert (str(caught.value), caught.value.remedy) == (message, f"choose from: {names}")
    assert read.find_image("lab").lab == read.find_lab("lab")


def test_a_graph_that_cannot_be_read_says_what_to_do() -> None:
    with pytest.raises(UsageError) as caught:
        Graph.parse(SMALL.replace('parent = "base"\n', ""))
    assert (str(caught.value), caught.value.remedy) == (
        "docker/images.toml cannot be read: an image without a parent needs a list of Debian packages",
        "restore it from version control: git checkout -- docker/images.toml",
    )


def test_an_unknown_lab_is_answered_with_all_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        Graph.parse(TEXT + FIFTH).find_lab("x")
    assert caught.value.remedy == "choose from: pylab, rlab, dashlab"


def test_rs_images_are_what_r_packages_stand_on_and_they_themselves() -> None:
    assert [image.name for image in FIVE.of_r] == ["rlab-base", "rlab"]
