"""What hostile R packages try while they are installed: each attempt fails with a line of ours, or changes nothing."""

import hashlib
import hmac
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from r_build import KEY, MTIME, ROOT, Build, jobs, make_build, package, sandbox

pytestmark = pytest.mark.skipif(not ROOT, reason="only root can run packages' code as users of their own")

TOOLS = [shutil.which(name) for name in ("setpriv", "prlimit", "setsid")]
COMPILED = "pyrlab-r compiled {} 1.0"


@pytest.fixture
def build(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Return an empty library and cache, with an R that only copies and runs what is hostile."""
    assert all(TOOLS), "util-linux is there, as in every Debian"
    # Whatever this machine has: flags of fifos are what packages get in a build.
    monkeypatch.setattr(jobs, "make_version", lambda: (4, 4))
    with make_build(capsys, monkeypatch) as made:
        yield made


def told(lines: list[str]) -> list[str]:
    """Return lines without the seconds."""
    return [line.rpartition(" ")[0] if " compiled " in line else line for line in lines]


def sealed(key: str, content: bytes, seal: str = KEY) -> bytes:
    """Return an entry of the cache as who has this seal writes it."""
    return hmac.new(seal.encode(), f"{key}\n".encode() + content, hashlib.sha256).digest() + content


def running(uid: int) -> list[int]:
    """Return the processes of a user that still run."""
    return list(sandbox._processes(uid))  # noqa: SLF001 - what the sandbox itself believes in


QUIET = [
    pytest.param('echo x >"$folder/cache/evil"; rm -rf "$folder/cache"; chmod 777 "$folder/cache"', id="cache-folder"),
    pytest.param('cp "$folder/cache/a-key" /tmp/; echo x >"$folder/cache/a-key"', id="entry-of-another"),
    pytest.param('echo x >>"$folder/library/a/DESCRIPTION"; rm -rf "$folder/library/a"', id="library"),
    pytest.param('mkdir "$folder/library/c"; mv "$folder/library/.pyrlab" "$folder/x"', id="library-new-package"),
    pytest.param('echo "CC = evil" >>"$folder/library/.pyrlab/Makevars"', id="settings-of-later-compiles"),
    pytest.param('mkdir -p "$library/a"; cp "$library/$name/DESCRIPTION" "$library/a/"', id="name-of-another-package"),
    pytest.param('cat "$folder/seal" >"$library/$name/stolen" || rm "$library/$name/stolen"', id="seal"),
    pytest.param("kill -9 -1 || kill -9 $PPID", id="kills-all-it-may"),
    pytest.param("chmod 777 .. ; mkdir ../a ../c; ln -s /etc ../../c", id="folders-of-others"),
]


@pytest.mark.parametrize("attack", QUIET)
def test_what_belongs_to_others_stays_as_it_is(build: Build, attack: str) -> None:
    """Cache, library and settings: the attempt has no effect, whether the package gets done or not."""
    assert build.run(package("a", files=build.file("a")))[0] == 0
    library, entry = build.tree("library"), (build.folder / "cache/a-key").read_bytes()
    build.run(package("a", files=build.file("a")), build.hostile("b", f"{{ {attack}; }} 2>/dev/null; true"))
    after = build.tree("library")
    assert {name: after[name] for name in library} == library
    assert {name.split("/")[0] for name in after} <= {"a", "b"}
    assert (build.folder / "cache/a-key").read_bytes() == entry
    assert {path.name for path in (build.folder / "cache").iterdir()} <= {"a-key", "b-key"}
    assert "b/stolen" not in after
    assert (build.folder / "cache").stat().st_mode & 0o777 == 0o700


REFUSED = [
    pytest.param('ln -s /etc/shadow "$library/$name/x"', "the link b/x leads to /etc/shadow", id="link-out"),
    pytest.param('ln -s ../../.. "$library/$name/x"', "the link b/x leads to ../../..", id="link-up"),
    pytest.param('mkfifo "$library/$name/x"', "b/x is neither a file nor a folder nor a link", id="fifo"),
    pytest.param(
        "python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \"$library/$name/x\"",
        "b/x is neither a file nor a folder nor a link",
        id="socket",
    ),
    pytest.param('echo x >x; ln x "$library/$name/x"', "b/x is another file, too", id="second-name"),
    pytest.param('rm -r "$library/$name"', "R installed nothing under its name", id="nothing"),
    pytest.param('mv "$library/$name" "$library/a"', "R installed nothing under its name", id="name-of-another"),
    pytest.param(
        'rm -r "$library/$name"; ln -s "$folder/library/a" "$library/$name"',
        "b is no folder any more",
        id="link-as-tree",
    ),
    pytest.param(
        'rm -r "$library"; ln -s "$folder/library" "$library"', ".library is no folder any more", id="link-as-library"
    ),
    pytest.param(
        'mv "$library" y; mkdir "$library"; ln -s /root/.profile "$library/$name"',
        "b is no folder any more",
        id="root-s",
    ),
    pytest.param('cd "$library/$name" && echo "Package: a" >DESCRIPTION', "DESCRIPTION says a ", id="description"),
    pytest.param(
        'cd "$library/$name" && rm DESCRIPTION && mkdir DESCRIPTION', "DESCRIPTION says  ", id="description-as-folder"
    ),
    pytest.param(
        'cd "$library/$name" && rm DESCRIPTION && ln -s DESCRIPTION DESCRIPTION',
        "DESCRIPTION says  ",
        id="description-as-ring",
    ),
    pytest.param('cd "$library/$name" && truncate -s 3G x', "it has more than 2147483648 bytes", id="huge"),
    pytest.param(
        "python3 -c 'import os, sys; os.chdir(sys.argv[1]); "
        '[(os.mkdir("d"), os.chdir("d")) for _ in range(3000)]\' "$library/$name"',
        "its folders are more than 64 deep",
        id="deep",
    ),
    pytest.param(
        "ln -s /etc \"$library/$name/$(printf 'x\\npyrlab-r full\\n\\377')\"",
        "the link b/x?pyrlab-r full",
        id="line-break",
    ),
]


@pytest.mark.parametrize(("attack", "reason"), REFUSED)
def test_what_must_not_be_installed_is_refused(build: Build, attack: str, reason: str) -> None:
    """With the package's name and the reason, in one line; library and cache have nothing of it."""
    assert build.run(package("a", files=build.file("a")))[0] == 0
    status, lines = build.run(package("a", files=build.file("a")), build.hostile("b", attack))
    assert status == 1
    assert lines[:-1] == ["pyrlab-r cached a 1.0"]
    assert lines[-1].startswith(f"pyrlab-r refused b 1.0: {reason}"), lines
    assert sorted(path.name for path in (build.folder / "library").iterdir()) == ["a"]
    assert sorted(path.name for path in (build.folder / "cache").iterdir()) == ["a-key"]


def test_no_program_keeps_special_rights_and_no_file_its_owner(build: Build) -> None:
    """Everything is root's, for all to read, and for root to write."""
    attack = 'cd "$library/$name"; cp /bin/true x; chmod 6777 x; mkdir -m 2777 d; echo y >d/y; chmod 000 d/y'
    assert build.run(build.hostile("b", attack))[0] == 0
    for path in (build.folder / "library/b").rglob("*"):
        status = path.stat()
        expected = 0o755 if path.is_dir() or path.name == "x" else 0o644
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, expected), path


def test_a_hard_link_to_a_file_of_root_s_is_of_no_use(build: Build) -> None:
    """Refused by the kernel, or by us: what root alone may read is never packed."""
    secret = build.folder / "library/secret"
    secret.write_text("secret", encoding="utf-8")
    secret.chmod(0o600)
    build.run(build.hostile("b", 'ln "$folder/library/secret" "$library/$name/x" 2>/dev/null; true'))
    assert secret.stat().st_mode & 0o777 == 0o600
    assert not (build.folder / "library/b/x").exists()


DAEMON = """
( setsid sh -c '( trap "" TERM HUP INT; cd /; touch {mark}; exec >/dev/null 2>&1 {more}
  while sleep 0.05; do echo x >>"{target}"; done ) &' ) &
while [ ! -e {mark} ]; do sleep 0.02; done
"""


@pytest.mark.parametrize(
    "more", [pytest.param("", id="apart"), pytest.param('9<>"${MAKEFLAGS##*fifo:}"', id="with-the-fifo")]
)
def test_a_daemon_does_not_outlive_its_package(build: Build, more: str) -> None:
    """It left the session and was forked twice; nothing of the package is changed later."""
    attack = DAEMON.format(mark="$HOME/mark", target="$library/$name/late", more=more)
    assert build.run(build.hostile("b", attack), package("c", ["b"], files=build.file("c")))[0] == 0
    assert running(sandbox.FIRST_ID) == []
    assert not (build.folder / "library/.pyrlab").exists()
    before = build.tree("library")
    time.sleep(0.2)
    assert build.tree("library") == before


def test_a_fork_bomb_ends(build: Build) -> None:
    """Processes that start others faster than anybody could count them."""
    bomb = (
        "python3 -c '\nimport os\nfor _ in range(5): os.fork()\nwhile True:\n  os.fork() and os._exit(0)' &\nsleep 0.5"
    )
    status, lines = build.run(build.hostile("b", bomb), package("c", ["b"], files=build.file("c")))
    assert (status, told(lines)) == (0, [COMPILED.format("b"), COMPILED.format("c")])
    assert running(sandbox.FIRST_ID) == []


def test_what_ends_a_package_cannot_be_ended_by_it(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that kills all it may, all the time, is gone at the end all the same."""
    monkeypatch.setattr(sandbox, "REST", 5.0)
    killer = (
        "python3 -c '\nimport os, signal\nme = os.getpid()\nwhile True:\n"
        '  for p in os.listdir("/proc"):\n    if p.isdigit() and int(p) != me:\n'
        "      try: os.kill(int(p), 9)\n      except OSError: pass' &\nsleep 0.2"
    )
    build.run(build.hostile("b", f"setsid {killer}"))
    assert running(sandbox.FIRST_ID) == []


REACHES = """python3 - "$library/$name/reached" <<'END'
import os, sys, time
def reach(pid):
    if os.stat(f"/proc/{pid}").st_uid == os.getuid():
        return
    for attempt in (
        lambda: os.kill(int(pid), 9),
        lambda: open(f"/proc/{pid}/environ").read(),
        lambda: open(f"/proc/{pid}/mem", "r+b"),
        lambda: os.listdir(f"/proc/{pid}/fd"),
        lambda: os.listdir(f"/proc/{pid}/cwd/"),
    ):
        try:
            attempt()
            open(sys.argv[1], "a").write(open(f"/proc/{pid}/status").read())
        except OSError:
            pass
for _ in range(5):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            reach(pid)
        except OSError:
            pass
    time.sleep(0.1)
END
"""


def test_a_package_cannot_reach_the_compile_of_another(build: Build) -> None:
    """Both run at once: no signal, no look into its memory, variables, files or folder."""
    victim = 'sleep 1; echo lived >"$library/$name/lived"'
    entries = build.hostile("b", victim), build.hostile("c", REACHES)
    status, lines = build.run(*entries, options=["--jobs=2"])
    assert (status, sorted(told(lines))) == (0, [COMPILED.format("b"), COMPILED.format("c")])
    assert (build.folder / "library/b/lived").exists()
    assert not (build.folder / "library/c/reached").exists()


def test_nothing_is_left_where_everybody_may_write(build: Build) -> None:
    """The next package would find it there."""
    name = f"pyrlab-test-{os.getpid()}"
    open_folders = [str(folder / name) for folder in sandbox.OPEN_FOLDERS[:3]]
    attack = "mkdir -p {}/x; echo x >{}; ln -s /etc {}; true".format(*open_folders)
    assert build.run(build.hostile("b", attack))[0] == 0
    assert [path for path in open_folders if os.path.lexists(path)] == []


def test_a_log_without_end_is_bounded(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is shown, and what it takes in memory and on the disk stays small."""
    monkeypatch.setattr(sandbox, "OUTPUT_LIMIT", 2**14)
    attack = "yes | head -c 50000000; echo last; exit 1"
    status, lines = build.run(build.hostile("b", attack))
    assert (status, lines[:2], lines[-2:]) == (
        1,
        ["pyrlab-r failed b 1.0", "pyrlab-r output"],
        ["last", "pyrlab-r end"],
    )
    well, output = sandbox.run(
        ["sh", "-c", "yes | head -c 5000000"],
        uid=sandbox.FIRST_ID,
        variables={"PATH": "/usr/bin:/bin"},
        timeout=30,
        cwd=build.folder,
    )
    assert well
    assert len(output) <= 2**14 + 2**16


def test_a_line_without_end_is_shown_in_part(build: Build) -> None:
    """Without a line break there is one last line: it is as long as what is kept."""
    status, lines = build.run(build.hostile("b", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1"))
    assert status == 1
    assert max(map(len, lines)) <= 1000


SLEEPS = "echo begun; ( setsid sleep 600 & ) ; sleep 600"


def test_a_package_that_takes_too_long_is_ended(build: Build) -> None:
    """With all that it has started, and its last words."""
    begin = time.monotonic()
    status, lines = build.run(build.hostile("b", SLEEPS), options=["--timeout=1"])
    assert (status, lines) == (1, ["pyrlab-r output", "begun", "pyrlab-r end", "pyrlab-r slow b 1.0 1"])
    assert time.monotonic() - begin < 20
    assert running(sandbox.FIRST_ID) == []
    assert build.tree("library") == {}


FLOOD = 'python3 -c \'open("${MAKEFLAGS##*fifo:}", "w").write("+" * 1000)\''
EATS = "( setsid sh -c 'cat <\"${MAKEFLAGS##*fifo:}\" >/dev/null' & ); sleep 0.3"
# Does what make does: six programs, one after the other with the package's own token, and beside it with those of the
# fifo, as long as there are some.
MAKES = """python3 - "$folder/log" $name <<'END'
import os, sys, threading, time
fifo = os.open(os.environ["MAKEFLAGS"].partition("fifo:")[2], os.O_RDWR | os.O_NONBLOCK)
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
todo = list(range(6))
def work(own):
    while todo:
        try:
            token = b"" if own else os.read(fifo, 1)
        except BlockingIOError:
            time.sleep(0.01)
            continue
        try:
            todo.pop()
        except IndexError:
            pass
        else:
            job()
        os.write(fifo, token)
def job():
    os.write(log, f"{sys.argv[2]}+ ".encode())
    time.sleep(0.15)
    os.write(log, f"{sys.argv[2]}- ".encode())
threads = [threading.Thread(target=work, args=[own]) for own in (True, False, False, False)]
for thread in threads: thread.start()
for thread in threads: thread.join()
END
"""


@pytest.mark.parametrize("attack", [pytest.param(FLOOD, id="thousand-tokens"), pytest.param(EATS, id="eats-them")])
def test_who_cheats_with_tokens_stops_nobody(build: Build, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    """All packages get done, and tokens out are never more than N."""
    monkeypatch.setattr(jobs, "make_version", lambda: (4, 4))
    most: list[int] = []
    deal = jobs.JobServer.deal

    def watched(server: Any) -> None:  # noqa: ANN401 - a class of a module that mypy cannot see
        deal(server)
        most.append(server.out)

    monkeypatch.setattr(jobs.JobServer, "deal", watched)
    monkeypatch.setattr(jobs, "bounded", lambda wanted: wanted)
    others = [package(name, files=build.file(name)) for name in "cdefgh"]
    status, lines = build.run(build.hostile("b", attack), *others, options=["--jobs=3"])
    assert (status, sorted(told(lines))) == (0, [COMPILED.format(name) for name in "bcdefgh"])
    assert max(most) <= 3


def test_a_fifo_is_its_package_s_alone(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one can neither take tokens from it nor put some in."""
    monkeypatch.setattr(jobs, "make_version", lambda: (4, 4))
    attack = (
        'for n in 1 2 3 4 5; do for f in "$folder"/library/.pyrlab/jobs/*; do '
        '[ "${f##*/}" = c ] || ! (echo ++++ >>"$f") 2>/dev/null || touch "$library/$name/opened"; done; sleep 0.1; done'
    )
    build.run(build.hostile("b", "sleep 1"), build.hostile("c", attack), options=["--jobs=2"])
    assert (build.folder / "library/c").is_dir()
    assert not (build.folder / "library/c/opened").exists()


def at_once(words: list[str]) -> int:
    """Return how many programs ran at once, of those that wrote these signs when they began and ended."""
    now = most = 0
    for word in words:
        now += 1 if word.endswith("+") else -1
        most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("count", "seconds"),
    # One after the other takes the sum; those that are to meet need some time for it.
    [pytest.param(1, "0.05", id="1"), pytest.param(3, "0.15", id="3")],
)
def test_as_many_programs_run_as_there_are_tokens(
    build: Build, monkeypatch: pytest.MonkeyPatch, count: int, seconds: str
) -> None:
    """Of all packages together; what one does not need, another has."""
    makes = MAKES.replace("0.15", seconds)
    monkeypatch.setattr(jobs, "bounded", lambda wanted: wanted)
    (build.folder / "log").touch()
    (build.folder / "log").chmod(0o666)
    assert build.run(*(build.hostile(name, makes) for name in "bcd"), options=[f"--jobs={count}"])[0] == 0
    words = (build.folder / "log").read_text(encoding="utf-8").split()
    assert len(words) == 3 * 6 * 2
    assert at_once(words) == count


def test_tokens_that_one_package_forges_are_of_no_use_to_another(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is worked on beside one that writes them without end; no more run than may."""
    monkeypatch.setattr(jobs, "bounded", lambda wanted: wanted)
    (build.folder / "log").touch()
    (build.folder / "log").chmod(0o666)
    flood = FLOOD.replace('.write("+" * 1000)', '.write("+" * 1000); __import__("time").sleep(1)')
    entries = build.hostile("b", flood), build.hostile("c", MAKES), build.hostile("d", MAKES)
    assert build.run(*entries, options=["--jobs=3"])[0] == 0
    assert at_once((build.folder / "log").read_text(encoding="utf-8").split()) <= 3


ENTRIES: list[Any] = [
    pytest.param(lambda cache: (cache / "b-key").replace(cache / "a-key"), id="another-s"),
    pytest.param(lambda cache: os.truncate(cache / "a-key", 700), id="truncated"),
    pytest.param(lambda cache: os.truncate(cache / "a-key", 7), id="shorter-than-a-seal"),
    pytest.param(lambda cache: os.truncate(cache / "a-key", 0), id="empty"),
    pytest.param(lambda cache: flip(cache / "a-key", 5), id="bit-of-the-seal"),
    pytest.param(lambda cache: flip(cache / "a-key", 900), id="bit-of-the-package"),
    pytest.param(
        lambda cache: (cache / "a-key").write_bytes(sealed("a-key", (cache / "a-key").read_bytes()[32:], "another")),
        id="another-key",
    ),
    pytest.param(lambda cache: (cache / "a-key").write_bytes((cache / "a-key").read_bytes()[32:]), id="no-seal"),
    pytest.param(lambda cache: instead(cache / "a-key", os.mkfifo), id="fifo"),
    pytest.param(lambda cache: instead(cache / "a-key", lambda path: path.symlink_to("b-key")), id="link"),
    pytest.param(lambda cache: instead(cache / "a-key", Path.mkdir), id="folder"),
    pytest.param(lambda cache: os.truncate(cache / "a-key", 2**40), id="huge"),
]


def flip(path: Path, at: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def instead(path: Path, make: Callable[[Path], object]) -> None:
    """Put something else into the place of a file."""
    path.unlink()
    make(path)


@pytest.mark.parametrize("change", ENTRIES)
def test_an_entry_that_is_not_what_was_sealed_is_compiled_anew(build: Build, change: Callable[[Path], object]) -> None:
    """And kept anew: the third build takes it."""
    entries = [package(name, files=build.file(name)) for name in "ab"]
    build.run(*entries)
    whole = (build.folder / "cache/a-key").read_bytes()
    change(build.folder / "cache")
    status, lines = build.run(*entries)
    assert (status, COMPILED.format("a") in told(lines)) == (0, True)
    assert (build.folder / "cache/a-key").read_bytes() == whole
    assert sorted(build.run(*entries)[1]) == ["pyrlab-r cached a 1.0", "pyrlab-r cached b 1.0"]


def test_without_a_seal_nothing_is_taken_and_nothing_kept(build: Build) -> None:
    """Not even what was sealed by an empty key."""
    entry = package("a", files=build.file("a"))
    build.run(entry)
    whole = (build.folder / "cache/a-key").read_bytes()
    forged = sealed("a-key", whole[32:], "")
    (build.folder / "cache/a-key").write_bytes(forged)
    (build.folder / "seal").unlink()
    assert told(build.run(entry)[1]) == [COMPILED.format("a")]
    assert (build.folder / "cache/a-key").read_bytes() == forged


def test_a_sealed_entry_is_the_library_s_bytes(build: Build) -> None:
    """What this module forges is what the cache writes: the tests above would pass for nothing otherwise."""
    build.run(package("a", files=build.file("a")))
    whole = (build.folder / "cache/a-key").read_bytes()
    assert whole == sealed("a-key", whole[32:])
    assert (build.folder / "library/a/DESCRIPTION").stat().st_mtime == MTIME


def test_the_kernel_knows_no_way_up() -> None:
    """What the sandbox starts can become nobody else, and has no capability."""
    command = sandbox.lowered(["cat", "/proc/self/status"], sandbox.FIRST_ID)
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    fields = dict(line.split(":\t", 1) for line in shown.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == [str(sandbox.FIRST_ID)] * 4
    assert (fields["NoNewPrivs"], int(fields["CapEff"], 16), fields["Groups"].strip()) == ("1", 0, "")
