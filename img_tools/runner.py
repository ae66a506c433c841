"""The only place that starts a process.

No shell, an environment built from scratch, standard input closed, always a timeout, and every
child killed when the run ends: a hung package manager must not hang the pipeline that called us.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from img_tools.model import Undecided, printable

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
        text = f"`{printable(shlex.join(argv))}` {reason}"
        super().__init__(f"{text}: {tail}" if tail else text)
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
        self._children: set[subprocess.Popen[str]] = set()
        self._closed = False

    def __call__(
        self,
        *argv: str,
        ok: Sequence[int] = (0,),
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run ARGV and return it completed; an exit code not in OK raises CommandError."""
        full = argv if self.top == "/" else ("chroot", self.top, *argv)
        process = self._start(full, env or {})
        try:
            stdout, stderr = process.communicate(timeout=timeout or self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise CommandError(argv, f"took longer than {timeout or self.timeout:g} s") from None
        finally:
            with self._lock:
                self._children.discard(process)
        code = process.returncode
        if code == 127 and full is not argv and "No such file" in stderr:
            raise CommandMissing(argv, "is not in the image")
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", stdout, stderr)
        return Completed(tuple(argv), code, stdout, stderr)

    def _start(self, argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise CommandError(argv, "was not started: the run is being stopped")
            try:
                process = subprocess.Popen(  # noqa: S603  (a list, no shell)
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **env},
                    cwd="/",
                    encoding="utf-8",
                    errors="surrogateescape",
                    start_new_session=True,
                )
            except FileNotFoundError:
                raise CommandMissing(argv, "is not in the image") from None
            except OSError as error:
                raise CommandError(argv, f"cannot be run: {error.strerror}") from None
            self._children.add(process)
            return process

    def close(self) -> None:
        """Kill whatever still runs and start nothing more."""
        with self._lock:
            self._closed = True
            children = list(self._children)
        for process in children:
            _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill PROCESS and everything it started (it leads a session of its own)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # a child stuck in the kernel stays behind
        process.wait(timeout=5)
