"""TensorBoard inside a lab: behind the lab's own address and token."""

import pytest
from kernels import Kernel
from labs import RunningLab, wait_for

ADDRESS = "/proxy/6006/"
OPEN = "%load_ext tensorboard\n%tensorboard --logdir runs --port 6006"


@pytest.mark.language("python")
@pytest.mark.needs(python=["tensorboard"])
def test_answers_behind_the_token(lab: RunningLab, kernel: Kernel) -> None:
    """The notebook's magic shows TensorBoard at the lab's own address, for those who have the token only."""
    shown = kernel.execute(OPEN)
    assert ADDRESS in "".join(shown.data("text/html")), shown
    wait_for("TensorBoard", lambda: lab.get(ADDRESS).status_code == 200, timeout=60)
    assert "<title>TensorBoard</title>" in lab.get(ADDRESS).text
    assert {lab.request("GET", ADDRESS, token=token).status_code for token in (None, "wrong")} == {302}
