"""The lines of the list, looked at one by one: what can be said before any search."""

from dataclasses import replace

from pyrlab.errors import ListError
from pyrlab.model.cran import advice
from pyrlab.model.cran.archives import Archives
from pyrlab.model.cran.record import is_r
from pyrlab.model.cran.universe import Universe
from pyrlab.model.cran.version import RVersion
from pyrlab.model.lists import RRequest

# More old versions than these say nothing more to a reader.
_SHOWN = 5


def check_known(request: RRequest, universe: Universe, archives: Archives) -> None:
    """Raise ListError for a line that no search can grant: it says what there is in place of it."""
    name, where = request.name, request.where
    if is_r(name):
        raise ListError(
            f"{where}: {name} is a part of R itself",
            remedy="delete the line; R comes with the Debian suite, base.suite in pyrlab.toml",
        )
    repositories = [source.name for source in universe.sources]
    if request.repository and request.repository not in repositories:
        raise ListError(
            f"{where}: there is no repository called {request.repository!r}",
            remedy=_another_place(request, repositories),
        )
    if universe.knows(name) or _is_archived(request, archives):
        return
    refused = universe.refused(name)
    if refused:
        raise ListError(
            f"{where}: {'; '.join(refused)}",
            remedy=f"delete the line, or add a repository that has another {name} to {advice.REPOSITORIES}",
        )
    left = archives.left(name, request.repository) or archives.left(name)
    if left:
        source, versions = left
        elsewhere = request.repository not in {"", source.name}
        message = f"{where}: {source.name} archived {name}"
        if request.operator == "==" and not elsewhere:
            older = [f"older ones down to {versions[-1]}"] if len(versions) > _SHOWN else []
            there = ", ".join([*versions[:_SHOWN], *older])
            message += f", and there is no {request.version} of it, only {there}"
        else:
            message += ": it is not among its current packages any more"
        allowed = [version for version in versions if request.wanted.allows(RVersion.parse(version))]
        version = (allowed or versions)[0]
        place = source.name if elsewhere else request.repository
        line = replace(request, operator="==", version=version, repository=place)
        bound = "" if version == versions[0] else f" {request.operator} {request.version}"
        raise ListError(message, remedy=f"{line} takes the last version{bound}")
    nobody = f"{repositories[0]} has no" if len(repositories) == 1 else "no repository has an"
    raise _unknown(f"{where}: {nobody} R package {name!r}", name, universe)


def _another_place(request: RRequest, repositories: list[str]) -> str:
    try:
        RVersion.parse(request.repository)
    except ValueError:
        return f"{advice.REPOSITORIES} has: {', '.join(repositories)}"
    return f"for a version, write {request.name} == {request.repository}"


def _unknown(message: str, name: str, universe: Universe) -> ListError:
    """Return the error for a name that nobody has, which may be Bioconductor's."""
    if not advice.has_bioconductor(universe) and not advice.same_letters(universe, name):
        if name.lower() in universe.bioconductor:
            return ListError(
                f"{message}: it is one of Bioconductor's, and Debian has it too",
                remedy=advice.bioconductor(universe, besides='"debian", or '),
            )
        needing = [source.name for source in universe.sources if source.needs(name)]
        if needing:
            # CRAN takes only packages whose needs CRAN itself or Bioconductor has.
            return ListError(
                f"{message}, but packages of {needing[0]} need it: most likely it is Bioconductor's",
                remedy=advice.bioconductor(universe),
            )
    return ListError(message, remedy=advice.another_name(universe, name))


def _is_archived(request: RRequest, archives: Archives) -> bool:
    """Tell whether the very version that is wanted is in an archive: CRAN takes whole packages out of its index."""
    if request.operator != "==":
        return False
    wanted = RVersion.parse(request.version)
    for source in archives.universe.sources:
        if request.repository not in {"", source.name}:
            continue
        if archives.lists(source, request.name, wanted) or archives.describe(source, request.name, request.version):
            return True
    return False
