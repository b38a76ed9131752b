"""What may be asked of a lab, and the words that say how to reach it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrlab.errors import UsageError
from pyrlab.model.serving import Bind, Request, Tunnel, next_free, parse_environment, parse_memory
from pyrlab.model.settings import Settings

Load = Callable[..., Settings]
REQUEST = Request("pylab", "pylab", 8888, Path("/home/me/notebooks"))


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        pytest.param("src=/data,dst=/data", Bind("bind", "/data", "/data"), id="short"),
        pytest.param("type=bind,source=/a,target=/b,readonly", Bind("bind", "/a", "/b", read_only=True), id="docker"),
        pytest.param("src=/a,destination=/b,ro=true", Bind("bind", "/a", "/b", read_only=True), id="ro"),
        pytest.param("src=/a,dst=/b,readonly=false", Bind("bind", "/a", "/b"), id="not-ro"),
        pytest.param('"src=/a,b:c",dst=/b', Bind("bind", "/a,b:c", "/b"), id="comma"),
        pytest.param("type=volume,src=models,dst=/models", Bind("volume", "models", "/models"), id="volume"),
    ],
)
def test_a_mount_is_read_as_docker_reads_it(text: str, bind: Bind) -> None:
    assert Bind.parse(text) == bind


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("/data:/data", "cannot be read", id="volume-syntax"),
        pytest.param("src=/data", "cannot be read", id="no-target"),
        pytest.param("", "cannot be read", id="empty"),
        pytest.param("type=tmpfs,src=a,dst=/b", "cannot be read", id="tmpfs"),
        pytest.param("src=/a,dst=/b,relabel=shared", "cannot be read", id="unknown-field"),
        pytest.param("src=/a,dst=b", "dst is not a full path", id="relative"),
        pytest.param("src=/a,dst=/home/notebook/", "is the lab's own", id="home"),
        pytest.param("src=/a,dst=/home/notebook/notebooks", "is the lab's own", id="notebooks"),
    ],
)
def test_another_mount_is_an_error_that_shows_it(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        Bind.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("2g", 2 * 2**30), ("512m", 512 * 2**20), ("1.5G", 3 * 2**29), ("8gb", 2**33), ("8388608", 2**23)],
)
def test_memory_is_read_as_docker_reads_it(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1g", "5m", "4t", "1,5g"])
def test_what_is_no_memory_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no amount of memory"):
        parse_memory(text)


def test_an_environment_file_is_read_as_docker_reads_it() -> None:
    text = "# mine\n\nKEY=a=b # no comment\n EMPTY=\nHERE\nMISSING\n"
    found = parse_environment(text, {"HERE": "there"}, where="x.env")
    assert found == {"KEY": "a=b # no comment", "EMPTY": "", "HERE": "there"}


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("A=1\nJUPYTER_TOKEN=mine", "x.env:2: JUPYTER_TOKEN is set by serve itself", "remove it; --port moves a lab"),
        ("PORT=1", "x.env:1: PORT is set by serve itself", "remove it; --port moves a lab"),
        ("JUPYTER_TOKEN", "x.env:1: JUPYTER_TOKEN is set by serve itself", "remove it; --port moves a lab"),
        ("#\nexport A=1", "x.env:2: this is no NAME=VALUE", "write a variable a line; # starts a comment"),
        ("=1", "x.env:1: this is no NAME=VALUE", "write a variable a line; # starts a comment"),
    ],
)
def test_an_environment_file_cannot_take_the_lab_apart(text: str, says: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_environment(text, {}, where="x.env")
    assert (str(caught.value), caught.value.remedy) == (says, remedy)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "My Lab"}, "--name 'My Lab' is no name of a lab"),
        ({"name": "../up"}, "--name '../up' is no name of a lab"),
        ({"name": "rlab"}, "--name rlab is an image's own name"),
        ({"gpus": "some"}, "--gpus 'some' cannot be read"),
        ({"gpus": "0"}, "--gpus '0' cannot be read"),
        ({"cpus": -1.0}, "--cpus is -1.0"),
        ({"address": "localhost"}, "--address 'localhost' is no IP address"),
    ],
)
def test_an_option_that_cannot_be_is_an_error(load_settings: Load, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Request.of(load_settings(), "pylab", **options)
    assert str(caught.value) == says


@given(
    st.builds(
        Request,
        lab=st.just("pylab"),
        name=st.just("thesis"),
        port=st.integers(1, 65535),
        notebooks=st.just(Path("/a b/ü")),
        address=st.sampled_from(["127.0.0.1", "::"]),
        gpus=st.sampled_from(["", "all", "device=0,1"]),
        memory=st.integers(0, 2**40),
        cpus=st.floats(0, 128),
        env_file=st.sampled_from([None, Path("/x.env")]),
        mounts=st.lists(st.builds(Bind, st.just("bind"), st.text(), st.text(), st.booleans()), max_size=2).map(tuple),
        read_only=st.booleans(),
    )
)
def test_what_is_noted_of_a_request_is_read_as_it_was(request_: Request) -> None:
    assert Request.parse(request_.note()) == request_


@pytest.mark.parametrize(
    ("remote", "connection", "command"),
    [
        pytest.param("", "", None, id="here"),
        pytest.param("", "192.0.2.7 50000 198.51.100.2 22", "me@198.51.100.2", id="over-ssh"),
        pytest.param("", "2001:db8::7 50000 2001:db8::2 2222", "-p 2222 me@2001:db8::2", id="ipv6-other-port"),
        pytest.param("you@host", "192.0.2.7 50000 198.51.100.2 22", "you@host", id="remote-wins"),
        pytest.param("", "broken", None, id="no-connection"),
    ],
)
def test_the_line_for_ssh_is_exact(remote: str, connection: str, command: str | None) -> None:
    tunnel = Tunnel.find(remote, connection, "me")
    line = tunnel.command(REQUEST) if tunnel else None
    assert line == (command and f"ssh -N -L 8888:127.0.0.1:8888 {command}")


def test_a_user_without_a_name_is_left_to_ssh() -> None:
    assert Tunnel.find("", "192.0.2.7 50000 198.51.100.2 22", "") == Tunnel("198.51.100.2")


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8888"),
        ("0.0.0.0", "http://127.0.0.1:8888"),  # noqa: S104 - a case
        ("192.0.2.1", "http://192.0.2.1:8888"),
        ("::", "http://[::1]:8888"),
        ("2001:db8::1", "http://[2001:db8::1]:8888"),
    ],
)
def test_the_link_leads_to_where_the_lab_listens(address: str, url: str) -> None:
    assert replace(REQUEST, address=address).url == url


@given(st.integers(1, 65535), st.sets(st.integers(1, 65535), max_size=300))
def test_the_next_free_port_is_the_nearest_that_a_lab_can_have(port: int, taken: set[int]) -> None:
    """And 0 where all near ones are taken."""
    free = next_free(port, lambda number: number not in taken)
    near = [number for number in range(port + 1, min(port + 201, 65536)) if number != 6006 and number not in taken]
    assert free == (near[0] if near else 0)
    assert free != 6006
