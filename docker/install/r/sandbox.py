"""Runs a package's own code as a user of its own, who owns only the package's folder; nothing of it stays running."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# No build has users with these ids; each package gets one. A rootless engine has no ids above 65535.
FIRST_ID = 20_000
# Who ends a package's processes has its id plus this: they can neither signal nor trace it.
KEEPER = 20_000
# Seconds that killed processes may take to be gone.
REST = 10.0
# What is kept of the end of what a command prints, in bytes: some print without end.
OUTPUT_LIMIT = 2**18
# Processes of one package, and bytes of one file: far beyond what any needs, so that the machine stays usable.
PROCESSES = 4096
FILE_SIZE = 2**33
# Of what a package installs: bytes in all, files in all, and folders in each other.
TREE_SIZE, TREE_FILES, TREE_DEPTH = 2**31, 200_000, 64
# Folders that everybody may write to: the next package must not find there what this one left.
OPEN_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run/lock"), Path("/home/notebook"))  # noqa: S108 - they are swept
_CHUNK = 2**16


class SandboxError(Exception):
    """What a package did cannot be accepted; the text says what."""


class SlowError(Exception):
    """A command took longer than it may; ``output`` is the end of what it printed."""

    def __init__(self, output: str) -> None:
        super().__init__("slow")
        self.output = output


def give(folder: Path, uid: int) -> None:
    """Let a user own a folder and all in it, and nobody else look into it."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
    folder.chmod(0o700)


def lowered(command: Sequence[str], uid: int) -> list[str]:
    """Return a command that runs another one as ``uid``, with no way up, and within limits."""
    return [
        *("prlimit", f"--nproc={PROCESSES}", f"--fsize={FILE_SIZE}", "--core=0", "--"),
        *("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs", "--"),
        *command,
    ]


def run(
    command: Sequence[str], *, uid: int, variables: Mapping[str, str], timeout: float, cwd: Path
) -> tuple[bool, str]:
    """Run a command as ``uid``; return whether it ended well, and the end of what it printed.

    All that it has started is ended with it, also what left its session. Raises SlowError after ``timeout`` seconds,
    and SandboxError when something does not end.
    """
    reading, writing = os.pipe()
    printed = _Tail(reading)
    try:
        process = subprocess.Popen(
            lowered(command, uid),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.STDOUT,
            env=variables,
            cwd=cwd,
            start_new_session=True,
        )
    finally:
        os.close(writing)
    slow = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        slow = True
    finally:
        end_all(uid)
        process.wait()
        _sweep(uid)
    output = printed.text()
    if slow:
        raise SlowError(output)
    return process.returncode == 0, output


class _Tail:
    """Reads a pipe to its end, keeps what came last, and closes it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while chunk := os.read(self._pipe, _CHUNK):
            self._chunks.append(chunk)
            self._size += len(chunk)
            while self._size - len(self._chunks[0]) > OUTPUT_LIMIT:
                self._size -= len(self._chunks.popleft())
        os.close(self._pipe)

    def text(self) -> str:
        """Return what came last, when nobody has the other end any more, or after a while."""
        self._thread.join(REST)
        return b"".join(self._chunks.copy()).decode("utf-8", errors="replace")


def end_all(uid: int) -> None:
    """Kill every process of a user. Raises SandboxError when one does not go."""
    deadline = time.monotonic() + REST
    while True:
        _kill_at_once(uid)
        left = list(_processes(uid))
        if not left:
            return
        if time.monotonic() > deadline:
            raise SandboxError(f"its processes do not end: {left}")
        time.sleep(0.02)


def _kill_at_once(uid: int) -> None:
    """Send SIGKILL to all processes of a user in one call, so that none can start another in between.

    Killing them one by one would lose against a process that starts others quickly. The sender has the user's
    effective id only, as kill(2) asks for; by its real id it is somebody else, whom they cannot signal.
    """
    keeper = uid + KEEPER
    code = (
        "import os; os.setgroups([]); "
        f"os.setresgid({keeper}, {keeper}, {keeper}); os.setresuid({keeper}, {uid}, {keeper}); "
        f"os.kill(-1, {int(signal.SIGKILL)})"
    )
    # It fails when nobody is left to be killed.
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True, timeout=60)


def _processes(uid: int) -> Iterator[int]:
    """Yield the processes of a user that still run; those that only wait to be forgotten do not."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines() if ":" in line)
            if str(uid) in fields["Uid"].split() and not fields["State"].strip().startswith("Z"):
                yield int(entry.name)


def _sweep(uid: int) -> None:
    """Remove what a user left in folders that everybody may write to."""
    for folder in OPEN_FOLDERS:
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.lstat().st_uid == uid:
                    remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, however deep: Python's own rmtree gives up at some depth."""
    subprocess.run(["/bin/rm", "-rf", "--", str(path)], check=False, capture_output=True, timeout=600)


def claim(*folders: Path) -> None:
    """Make folders, each in the one before it, and all below the last one, root's.

    From above to below: what stands in a folder that is root's, nobody can put something else in the place of. Another
    package may still have such a folder open, if its user handed it over.
    Raises SandboxError for what must not be taken: it has to be folders, files without a second name, and links that
    stay in it; and of a size that can be handled.
    """
    for folder in folders:
        _claim(folder)
    tree = folders[-1]
    pending = [tree]
    size = count = 0
    while pending:
        folder = pending.pop()
        if len(folder.relative_to(tree).parts) > TREE_DEPTH:
            raise SandboxError(f"its folders are more than {TREE_DEPTH} deep")
        for path in folder.iterdir():
            os.chown(path, 0, 0, follow_symlinks=False)
            status = path.lstat()
            if reason := _objection(path, status, tree):
                raise SandboxError(reason)
            if stat.S_ISDIR(status.st_mode):
                path.chmod(0o700)
                pending.append(path)
            size, count = size + status.st_size, count + 1
            if size > TREE_SIZE or count > TREE_FILES:
                raise SandboxError(f"it has more than {TREE_SIZE} bytes or {TREE_FILES} files")


def _claim(folder: Path) -> None:
    try:
        os.chown(folder, 0, 0, follow_symlinks=False)
    except FileNotFoundError:
        raise SandboxError("R installed nothing under its name") from None
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise SandboxError(f"{folder.name} is no folder any more")
    folder.chmod(0o700)


def _objection(path: Path, status: os.stat_result, tree: Path) -> str:
    """Return why something that a package has installed must not be taken, or an empty text."""
    name = path.relative_to(tree.parent)
    if stat.S_ISLNK(status.st_mode):
        leads = path.readlink()
        if leads.is_absolute() or not Path(os.path.normpath(path.parent / leads)).is_relative_to(tree):
            return f"the link {name} leads to {leads}"
    elif stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            return f"{name} is another file, too"
    elif not stat.S_ISDIR(status.st_mode):
        return f"{name} is neither a file nor a folder nor a link"
    return ""
