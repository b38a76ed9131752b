"""The ports of labs: whether one is free, who has it, and which one is free instead."""

from collections.abc import Mapping

from pyrlab.adapters import ports
from pyrlab.adapters.docker import containers
from pyrlab.errors import UsageError
from pyrlab.model.serving import Request, next_free
from pyrlab.model.workspace import LAB_LABEL, NAME_LABEL, PROJECT_LABEL, USER_LABEL


def need_free(request: Request, *, variable: str, here: bool) -> None:
    """Raise UsageError when somebody has the port; ``here`` says that the engine is on this machine."""
    taken = {port: container for container in containers.running() for port in containers.published(container)}

    def why_not(port: int) -> str:
        # This machine's port may well be the tunnel to a lab elsewhere.
        return ports.why_not(request.address, port) if here else ""

    if request.port in taken:
        problem = f"port {request.port} has {whose(taken[request.port].labels, taken[request.port].name or '')}"
    elif reason := why_not(request.port):
        holder = ports.holder(request.port)
        problem = f"port {request.port} has {holder}" if holder else f"port {request.port} cannot be had: {reason}"
    else:
        return
    free = next_free(request.port, lambda port: port not in taken and not why_not(port))
    offer = f"--port {free} is free; or " if free else ""
    raise UsageError(problem, remedy=f"{offer}choose another by --port or {variable}")


def whose(labels: Mapping[str, str], container: str) -> str:
    """Return who has a port, as a message says it. Nothing of it but labels and name is looked at."""
    if LAB_LABEL not in labels:
        return f"the container {container}"
    lab = labels.get(NAME_LABEL, labels[LAB_LABEL])
    return (
        f"the {lab} of project {labels.get(PROJECT_LABEL, '?')}, user {labels.get(USER_LABEL, '?')}: "
        f"container {container}"
    )
