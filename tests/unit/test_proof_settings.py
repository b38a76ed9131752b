"""[proof] and [upgrade]: parameters as papermill has them, the lab of a notebook, and each mistake with its remedy."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from graphs import GRAPH
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import UsageError
from pyrlab.model.proof import ProofSettings, inject, language_of, parse_age
from pyrlab.model.settings import Settings

VALUES = st.recursive(
    st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def cell(source: str, *tags: str) -> dict[str, object]:
    return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": source, "outputs": []}


def sources(notebook: dict[str, list[dict[str, object]]]) -> list[object]:
    return [one["source"] for one in notebook["cells"]]


def test_values_follow_the_cell_with_the_defaults() -> None:
    notebook = {"cells": [cell("import a"), cell("alpha = 1", "parameters"), cell("print(alpha)")]}
    assert sources(inject(notebook, {"alpha": 2}, "python")) == ["import a", "alpha = 1", "alpha = 2", "print(alpha)"]
    assert sources(notebook) == ["import a", "alpha = 1", "print(alpha)"]


def test_without_such_a_cell_values_come_first_and_without_values_nothing_changes() -> None:
    notebook = {"cells": [cell("print(1)")]}
    assert sources(inject(notebook, {"b": "x"}, "python")) == ["b = 'x'", "print(1)"]
    assert inject(notebook, {}, "python") == notebook


def test_r_gets_its_own_words() -> None:
    values = {"a": 1, "b": 2.5, "c": True, "d": 'say "hi"', "e": [1, "x"], "f": {"g h": 1}, "big": 2**40}
    made = inject({"cells": []}, values, "R")
    assert made["cells"][0]["source"].splitlines() == [
        "a <- 1L",
        "b <- 2.5",
        "c <- TRUE",
        'd <- "say \\"hi\\""',
        'e <- list(1L, "x")',
        "f <- list(`g h` = 1L)",
        "big <- 1099511627776",
    ]


@given(VALUES)
def test_python_reads_back_what_it_was_given(value: object) -> None:
    source = inject({"cells": []}, {"value": value}, "python")["cells"][0]["source"]
    found: dict[str, object] = {}
    exec(source, found)  # noqa: S102 - it is what a kernel does
    assert found["value"] == value


def test_notebooks_with_ids_get_a_cell_with_one() -> None:
    made = inject({"cells": [{**cell("x"), "id": "a"}]}, {"b": 1}, "python")
    assert all("id" in one for one in made["cells"])
    assert "id" not in inject({"cells": [cell("x")]}, {"b": 1}, "python")["cells"][0]


def test_a_name_that_is_code_is_refused() -> None:
    with pytest.raises(UsageError, match="no name of a parameter"):
        inject({"cells": []}, {"a = 1; import os": 1}, "python")


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({"kernelspec": {"name": "ir", "language": "R"}}, "R"),
        ({"kernelspec": {"name": "ir"}}, "R"),
        ({"kernelspec": {"name": "python3"}}, "python"),
        ({"language_info": {"name": "python"}}, "python"),
        ({}, ""),
    ],
)
def test_the_language_is_what_the_notebook_says(metadata: dict[str, object], language: str) -> None:
    assert language_of({"metadata": metadata}) == language


def test_a_notebook_runs_in_the_first_lab_with_its_language_or_the_one_named() -> None:
    plain = ProofSettings()
    assert plain.lab_of("a.ipynb", "python", GRAPH).image == "pylab"
    assert plain.lab_of("a.ipynb", "R", GRAPH).image == "rlab"
    named = ProofSettings(labs={"b/*.ipynb": "rlab"})
    assert named.lab_of("b/a.ipynb", "python", GRAPH).image == "rlab"
    assert named.lab_of("a.ipynb", "python", GRAPH).image == "pylab"
    with pytest.raises(UsageError, match=r"no lab has a kernel for a\.ipynb"):
        plain.lab_of("a.ipynb", "julia", GRAPH)
    with pytest.raises(UsageError, match=r"pylab has no kernel for a\.ipynb"):
        ProofSettings(labs={"*": "pylab"}).lab_of("a.ipynb", "R", GRAPH)


def test_later_globs_win() -> None:
    settings = ProofSettings(parameters={"*.ipynb": {"a": 1, "b": 1}, "x.ipynb": {"a": 2}})
    assert settings.parameters_of("x.ipynb") == {"a": 2, "b": 1}
    assert settings.parameters_of("y.ipynb") == {"a": 1, "b": 1}
    assert settings.parameters_of("y.txt") == {}


@pytest.mark.parametrize(
    ("text", "age"),
    [("", timedelta()), ("3 days", timedelta(3)), ("1 day", timedelta(1)), ("12hours", timedelta(hours=12))],
)
def test_ages(text: str, age: timedelta) -> None:
    assert parse_age(text, "here") == age


@pytest.mark.parametrize("text", ["3", "days", "-1 days", "3 months", "3 days ago", "99999 days"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(UsageError, match="here is"):
        parse_age(text, "here")


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[proof]\nnumbers = "never"', "proof.numbers is 'never'"),
        ("[proof]\ntolerance = 1", "proof.tolerance is 1.0"),
        ("[proof]\ntolerance = -0.1", "proof.tolerance is -0.1"),
        ("[proof]\ntimeout = 0", "proof.timeout is 0"),
        ('[proof]\nnotebooks = ["../x.ipynb"]', "leads out of the project"),
        ('[proof]\nnotebooks = ["/x.ipynb"]', "leads out of the project"),
        ('[proof.labs]\n"*" = 1', "proof.labs: '*' is 1"),
        ('[proof.labs]\n"*" = "nolab"', "no lab called 'nolab'"),
        ('[proof.parameters]\n"*" = 1', "proof.parameters: '*' is 1"),
        ("[upgrade]\nkeep = 0", "upgrade.keep is 0"),
        ("[upgrade]\nmax_trials = -1", "upgrade.max_trials is -1"),
        ('[upgrade]\nmin_age = "soon"', "upgrade.min_age is 'soon'"),
    ],
)
def test_each_mistake_names_its_key(load_settings: Callable[..., Settings], toml: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_settings(toml)
    assert says in str(caught.value)


def test_what_is_said_is_what_counts(load_settings: Callable[..., Settings]) -> None:
    said = load_settings('[proof]\nnotebooks = ["a/*.ipynb"]\ntolerance = 0\n[upgrade]\nmin_age = "2 weeks"\n')
    assert said.proof.notebooks == ("a/*.ipynb",)
    assert json.dumps(said.proof.tolerance) == "0.0"
    assert said.upgrade.min_age == timedelta(14)
