"""The only place that starts a process.

No shell, an environment built from scratch, standard input closed, always a timeout, and every
child killed when the run ends: a hung package manager must not hang the pipeline that called us.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from img_tools.model import Undecided, printable

OUTPUT_LIMIT = 64 << 20  # bytes; apt's longest answers are a few MB
COMMAND_SHOWN = 300  # characters of a command in a message
PATIENCE = 5.0  # seconds for a killed command to be gone
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# GNU, uutils and busybox; the program itself might print the last part alone.
_NO_PROGRAM = re.compile(r"chroot: (failed to run command|can't execute) [^\n]*"
                         r"No such file or directory[^\n]*\n?")


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended; `code` is its exit status, negative for a signal."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


class CommandError(Undecided):
    """A command could not be run, failed or took too long; shows code and last output."""

    def __init__(
        self, argv: Sequence[str], reason: str, stdout: str = "", stderr: str = ""
    ) -> None:
        output = (stderr.strip() or stdout.strip()).splitlines()
        tail = "; ".join(printable(line.strip()) for line in output[-3:])
        command = printable(shlex.join(argv))
        if len(command) > COMMAND_SHOWN:  # apt-cache gets the name of every package
            command = f"{command[:COMMAND_SHOWN]} ..."
        text = f"`{command}` {reason}"
        super().__init__(f"{text}: {tail}" if tail else text)
        self.argv = tuple(argv)
        self.stdout = stdout
        self.stderr = stderr


class CommandMissing(CommandError):
    """The program is not in the image."""


class Runner:
    """Runs commands inside the image at TOP. `timeout` is in seconds and holds for each command."""

    def __init__(self, top: str = "/", timeout: float = 120.0) -> None:
        self.top = top
        self.timeout = timeout
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self._closed = False

    def __call__(
        self,
        *argv: str,
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run ARGV and return it completed; an exit code not in OK raises CommandError."""
        child = self._start(argv, env or {})
        try:
            stdout, stderr = child.output(timeout or self.timeout)
        except _Unfinished as why:
            raise CommandError(argv, str(why)) from None
        finally:
            code = child.end()
            with self._lock:
                self._children.discard(child)
        if code == 127 and self.top != "/" and _NO_PROGRAM.fullmatch(stderr):
            raise CommandMissing(argv, "is not in the image")
        if code is None or code not in ok:
            raise CommandError(argv, _ending(code), stdout, stderr)
        return Completed(tuple(argv), code, stdout, stderr)

    def _start(self, argv: Sequence[str], env: Mapping[str, str]) -> _Child:
        with self._lock:
            if self._closed:
                raise CommandError(argv, "was not started: the run is being stopped")
            try:
                child = _Child(
                    argv if self.top == "/" else ("chroot", self.top, *argv),
                    {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **env})
            except FileNotFoundError as error:
                if self.top == "/":
                    raise CommandMissing(argv, "is not in the image") from None
                raise CommandError(argv, f"cannot be run: {error}") from None
            except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
                reason = getattr(error, "strerror", None) or error
                raise CommandError(argv, f"cannot be run: {reason}") from None
            self._children.add(child)
            return child

    def close(self) -> None:
        """Kill whatever still runs and start nothing more."""
        with self._lock:
            self._closed = True
            children = list(self._children)
        for child in children:
            child.kill()


class _Unfinished(Exception):
    """A command did not come to its end; the text completes "`command` ..."."""


class _Child:
    """A running command, and everything it starts: it leads a session of its own.

    It prints into files, not pipes: dpkg would break off in the middle of an upgrade if the reader
    of its pipe, which we are, was killed.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        with contextlib.ExitStack() as stack:
            self._printed = [stack.enter_context(_memory()) for _ in range(2)]
            self._process = subprocess.Popen(  # noqa: S603  (a list, no shell)
                argv, stdin=subprocess.DEVNULL, stdout=self._printed[0], stderr=self._printed[1],
                env=env, cwd="/", start_new_session=True)
            stack.pop_all()

    def output(self, timeout: float) -> tuple[str, str]:
        """What it printed when it ended. Raises _Unfinished after TIMEOUT seconds or too much."""
        deadline = time.monotonic() + timeout
        pause = 0.0005
        while not self._has_ended():
            if time.monotonic() > deadline:
                raise _Unfinished(f"took longer than {timeout:g} s")
            self._demand_little()
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        self._demand_little()
        stdout, stderr = (_content(file) for file in self._printed)
        return stdout, stderr

    def _demand_little(self) -> None:
        if sum(os.fstat(file.fileno()).st_size for file in self._printed) > OUTPUT_LIMIT:
            raise _Unfinished(f"printed more than {OUTPUT_LIMIT >> 20} MB")

    def _has_ended(self) -> bool:
        """Whether it ended; not reaped yet, so that its number stays its own until end()."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self._process.pid, flags) is not None
        except ChildProcessError:  # reaped by close()
            return True

    def kill(self) -> int | None:
        """Kill what runs of it, and reap it. Returns its exit code, None if it is still there."""
        with self._lock:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel
                    self._process.wait(timeout=PATIENCE)
            return self._process.returncode

    def end(self) -> int | None:
        """kill(), and let go of what it printed; for the thread that read it."""
        code = self.kill()
        for file in self._printed:
            file.close()
        return code


def _memory() -> IO[bytes]:
    """A file without a name, in memory where the kernel can (memfd_create(2), Linux 3.17)."""
    try:
        return os.fdopen(os.memfd_create("output"), "w+b")
    except (AttributeError, OSError):
        return tempfile.TemporaryFile()


def _content(file: IO[bytes]) -> str:
    """All of FILE; its position is the command's."""
    fd = file.fileno()
    return os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "surrogateescape")


def _ending(code: int | None) -> str:
    if code is None:
        return "cannot be ended: it is stuck in the kernel"
    if code >= 0:
        return f"exited with {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
