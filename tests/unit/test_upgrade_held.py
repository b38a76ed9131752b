"""held.toml: read, added to and dropped from, with the user's comments where they were."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import UsageError
from pyrlab.model.upgrade.held import HEADER, Held, Holds, parse

NUMPY = Held("Python", "numpy", "2.4.0", "AttributeError: no 'in1d'", "analysis.ipynb, cell 7", date(2026, 11, 28))
ZOO = Held("R", "zoo", "1.8-13", "could not find function", "test_zoo", date(2026, 11, 1))
DEB = Held("Debian", "libpq5", "17.7-0+deb13u1")
EXPECTED = "held.toml: Expected ']]' at the end of an array declaration (at line 1, column 7)"
EDITED = """\
# Ours. Ask Ana.

# zoo: Jo looks at it
[[held]] # since the meeting
ecosystem = "r"
name = 'zoo'   # not zooR
below = "1.8-13"
ticket = 12

# numpy: wait for the
# next pandas
[[held]]
ecosystem = "python"
name = "NumPy"
below = "2.4.0"
"""


def test_what_is_held_is_written_in_order() -> None:
    """Python, R, Debian; each with its reason, and a head that says what the file is."""
    text = Holds().add(DEB).add(ZOO).add(NUMPY).render()
    assert text == HEADER + (
        '\n[[held]]\necosystem = "Python"\nname = "numpy"\nbelow = "2.4.0"\nwhy = "AttributeError: no \'in1d\'"\n'
        'test = "analysis.ipynb, cell 7"\nsince = 2026-11-28\n'
        '\n[[held]]\necosystem = "R"\nname = "zoo"\nbelow = "1.8-13"\nwhy = "could not find function"\n'
        'test = "test_zoo"\nsince = 2026-11-01\n'
        '\n[[held]]\necosystem = "Debian"\nname = "libpq5"\nbelow = "17.7-0+deb13u1"\n'
    )
    assert parse(text).entries == (NUMPY, ZOO, DEB)


def test_a_users_file_is_read_and_its_comments_stay() -> None:
    """A comment goes where its entry goes: numpy's is above numpy, which is sorted before zoo."""
    holds = parse(EDITED)
    assert holds.entries == (Held("Python", "NumPy", "2.4.0"), Held("R", "zoo", "1.8-13"))
    _, zoo, numpy = EDITED.strip("\n").split("\n\n")
    head, *blocks = holds.add(DEB).render().split("\n\n")
    assert head == "# Ours. Ask Ana."
    assert blocks == [numpy, zoo, DEB.render()]


def test_dropping_takes_an_entry_with_its_comments_and_no_other() -> None:
    """Names of Python are found in any spelling; what is not there is not missed."""
    assert parse(EDITED).drop("Python", "numpy").render() == EDITED.partition("\n# numpy")[0]
    assert "Jo" not in parse(EDITED).drop("R", "zoo").render()
    assert "wait for the" in parse(EDITED).drop("R", "zoo").render()
    assert parse(EDITED).drop("R", "Zoo").render() == parse(EDITED).render()


def test_adding_again_replaces_the_entry_under_its_comments() -> None:
    """There is one entry a name."""
    holds = parse(EDITED).add(NUMPY)
    assert holds.entries == (NUMPY, Held("R", "zoo", "1.8-13"))
    assert "# numpy: wait for the\n# next pandas\n" + NUMPY.render() in holds.render()
    assert holds.find("Python", "Num.Py") is None
    assert holds.find("Python", "NUMPY") == NUMPY


def test_an_empty_file_holds_nothing() -> None:
    """And the first entry gives it its head; a head of the user's stays as it is."""
    assert parse("").entries == ()
    assert parse("").add(DEB).render() == Holds().add(DEB).render()
    assert parse("# mine\r\n").add(DEB).render() == "# mine\n\n" + DEB.render()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[[held]\n", EXPECTED, id="no-toml"),
        pytest.param('[[held]]\nname = "a"\n', "held.toml: held 'a' has no 'ecosystem'", id="no-ecosystem"),
        pytest.param('[[held]]\necosystem = "R"\n', "held.toml: held number 1 has no 'name'", id="no-name"),
        pytest.param(
            '[[held]]\necosystem = "R"\nname = "a"\nbelow = 2.1\n',
            "held.toml: 'below' of held 'a' is not a text",
            id="type",
        ),
        pytest.param(
            '[[held]]\necosystem = "R"\nname = "a"\nbelow = " "\n',
            "held.toml: 'below' of held 'a' is empty",
            id="empty",
        ),
        pytest.param(
            '[[held]]\necosystem = "python"\nname = "a"\nbelow = "new"\n',
            "held.toml: 'below' of held 'a' is 'new', which is no version of Python",
            id="no-version",
        ),
        pytest.param(
            '[[held]]\necosystem = "npm"\nname = "a"\nbelow = "1"\n',
            "held.toml: 'ecosystem' of held 'a' is 'npm', not one of Python, R, Debian",
            id="unknown-ecosystem",
        ),
        pytest.param(
            DEB.render() + 'since = "today"\n',
            "held.toml: 'since' of held 'libpq5' is not a date, such as 2026-11-28 without quotes",
            id="since",
        ),
        pytest.param(
            DEB.render() + "since = 2026-11-28T10:00:00\n",
            "held.toml: 'since' of held 'libpq5' is not a date, such as 2026-11-28 without quotes",
            id="since-a-time",
        ),
        pytest.param(
            "[numpy]\nbelow = 1\n",
            "held.toml: 'numpy' is nothing that it holds; an entry begins with [[held]]",
            id="key",
        ),
        pytest.param("held = 1\n", "held.toml: 'held' of the file is not a list of tables", id="no-tables"),
        pytest.param(
            'held = [{ecosystem = "R", name = "a", below = "1"}]\n',
            "held.toml: an entry is not written as a table [[held]] of its own",
            id="inline",
        ),
        pytest.param(DEB.render() + DEB.render(), "held.toml: 'libpq5' of Debian is held twice", id="twice"),
        pytest.param(
            DEB.render() + 'why = """\n[[held]]\n"""\n',
            "held.toml: an entry is not written as a table [[held]] of its own",
            id="looks-like-a-heading",
        ),
    ],
)
def test_a_mistake_is_named(text: str, message: str) -> None:
    """By its entry and its key."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    remedy = "delete one of the two" if message.endswith("twice") else "mend that entry; it is TOML"
    assert (str(caught.value), caught.value.remedy) == (message, remedy)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
HELD = st.builds(
    Held,
    st.sampled_from(["Python", "R", "Debian"]),
    TEXTS.filter(str.strip),
    st.sampled_from(["1.0", "2.4", "10.1"]),
    TEXTS,
    TEXTS,
    st.one_of(st.none(), st.dates()),
)


@given(entries=st.lists(HELD, max_size=4, unique_by=lambda held: held.key), data=st.data())
def test_what_is_rendered_is_read_back(entries: list[Held], data: st.DataObject) -> None:
    """Whatever a traceback says, in whichever order it was added; and again gives the same bytes."""
    holds = Holds()
    for held in data.draw(st.permutations(entries)):
        holds = holds.add(held)
    text = holds.render()
    assert parse(text).render() == text
    assert parse(text).entries == tuple(sorted(entries, key=lambda held: held.key))
    for held in entries:
        assert parse(text).drop(held.ecosystem, held.name).find(held.ecosystem, held.name) is None
        assert parse(text).drop(held.ecosystem, held.name).add(held).render() == text
