"""Imports point one way: values, then doors, then use cases, then the command line."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pyrlab

ROOT = Path(pyrlab.__file__).parent
# A module imports from lower ranks only. A new module goes into the line that says what it is.
RANKS = {
    0: "__init__ errors images lists settings cran locks report answer network pip_answer library r_output",  # values
    1: "process http engine bake root question headers repository r_files",  # doors
    2: "doctor r_choice",  # what use cases share
    3: "lock",
    4: "build serve smoke upgrade",  # use cases
    5: "__main__",
}
RANK_OF = {name: rank for rank, names in RANKS.items() for name in names.split()}
# Values may import each other, and so may doors; in no rank is there a ring.
WITHIN = {0, 1}
# One door that a value may use: settings asks the host's apt.
EXCEPTIONS = {("settings", "process")}


def test_every_module_has_a_rank() -> None:
    """Whoever adds a module decides what it is."""
    assert sorted(set(map(top, GRAPH)) - set(RANK_OF)) == []


def test_imports_point_one_way() -> None:
    """Each import that does not is named, as ``from → to``."""
    edges = {(top(module), top(imported)) for module, found in GRAPH.items() for imported in found}
    wrong = [f"{one} → {other}" for one, other in sorted(edges - EXCEPTIONS) if not allowed(one, other)]
    assert wrong == []


def test_no_modules_import_each_other_in_a_ring() -> None:
    """Sorting the graph fails with the ring, where there is one."""
    assert len(list(TopologicalSorter(GRAPH).static_order())) >= len(GRAPH)


def test_the_rule_bites() -> None:
    """Some imports that must never be allowed."""
    forbidden = [("lists", "process"), ("bake", "build"), ("build", "serve"), ("lock", "build"), ("build", "__main__")]
    assert [pair for pair in forbidden if allowed(*pair)] == []
    assert imported_by("from pyrlab import __version__, lock as it\nimport pyrlab.cran.base", "pyrlab.x") == {
        "pyrlab",
        "pyrlab.lock",
        "pyrlab.cran.base",
    }


def allowed(one: str, other: str) -> bool:
    """Tell whether the module or package ``one`` may import ``other``."""
    return one == other or RANK_OF[other] < RANK_OF[one] or (RANK_OF[one] == RANK_OF[other] and RANK_OF[one] in WITHIN)


def top(module: str) -> str:
    """Return the name below ``pyrlab`` that the table knows."""
    return module.split(".")[1] if "." in module else "__init__"


def name_of(path: Path) -> str:
    """Return a file's dotted name."""
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(source: str, own: str) -> set[str]:
    """Return the modules of pyrlab that a source text imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{own}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if is_module(inner) else str(node.module))
    return {name for name in found if name.split(".")[0] == "pyrlab"} - {own}


def is_module(name: str) -> bool:
    """Tell whether a dotted name is a module or a package of pyrlab."""
    path = ROOT.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


GRAPH = {name_of(path): imported_by(path.read_text(encoding="utf-8"), name_of(path)) for path in ROOT.rglob("*.py")}
