"""What both commands do around their work: one clear line for every error, and exit codes."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

import click

from img_tools.model import printable

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BROKEN_PIPE = 128 + signal.SIGPIPE
OPEN_FILES = 8192  # enough for 64 threads, each inside the deepest tree that RootFS enters


class Stop(BaseException):
    """A signal asked us to end; BaseException, so that no check takes it for its own."""

    def __init__(self, number: int) -> None:
        self.number = number


class Undelivered(click.ClickException):
    """A report that could not be written: whoever waits for it has no verdict."""

    exit_code = 3


def run(command: click.Command) -> NoReturn:
    """Run COMMAND and exit: its own code, 2 for bad usage, 128+n for a signal n."""
    name = command.name or "img-tools"
    _occupy_standard_streams()
    _allow_open_files()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a job in the background
            signal.signal(number, _stop)
    try:
        code = _guard(name, lambda: int(command.main(prog_name=name, standalone_mode=False) or 0))
        ignore_signals()
    except Stop as stop:  # it came while _guard was busy with something else
        code = 128 + stop.number
    # Threads of checks that hang in the kernel must not keep the process: leave without them.
    os._exit(code if _flush() else code or Undelivered.exit_code)


def _occupy_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, or a file of the image gets its number."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_signals()  # let the clean-up finish
    raise Stop(number)


def ignore_signals() -> None:
    """For the rest of the run. Not SIG_IGN: Python reports one that came just before it as lost."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Put off signals until the block has ended: for what must not be done by halves."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is _stop:
            signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is _stop:
                signal.signal(number, handler)
    if came:
        _stop(came[0], None)


def _guard(name: str, work: Callable[[], int]) -> int:
    try:
        return work()
    except Stop as stop:
        say(f"{name}: interrupted, nothing was changed")
        return 128 + stop.number
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return complain(name, error.format_message(), error.exit_code)
    except SystemExit as end:  # how click ends completion, or when the reader of --help went away
        return BROKEN_PIPE if end.code else 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return complain(name, f"{where}{error.strerror or error}", Undelivered.exit_code)
    except Exception as error:
        return complain(name, f"internal error: {type(error).__name__}: {error}; "
                              "please report it (no verdict was reached)", Undelivered.exit_code)


def complain(name: str, message: str, code: int) -> int:
    """One line on stderr; returns CODE."""
    say(printable(f"{name}: {' '.join(message.split())}"))
    return code


def say(text: str, *, newline: bool = True) -> None:
    """Write TEXT to stderr, if anybody listens there."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(text, err=True, nl=newline)


def write_atomically(path: str, text: str) -> None:
    """Put TEXT at PATH whole or not at all. Raises Undelivered, leaving what was there."""
    with undisturbed():
        try:
            _replace(path, text)
        except OSError as error:
            raise Undelivered(f"cannot write {path}: {error.strerror}") from None


def _replace(path: str, text: str) -> None:
    fd, draft = tempfile.mkstemp(prefix=".img-tools-", dir=os.path.dirname(path) or ".")
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def write_stdout(text: str) -> int:
    """Write TEXT to standard output; BROKEN_PIPE when nobody reads it, else 0.

    What its encoding lacks is shown as an escape. Raises Undelivered when it cannot be written.
    """
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        _prepare(sys.stdout)
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except OSError as error:
        _silence_stdout()
        raise Undelivered(f"cannot write to standard output: {error.strerror or error}") from None
    return 0


def _prepare(stream: object) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a test's stream lacks some
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
        os.set_blocking(stream.fileno(), True)  # type: ignore[attr-defined]  # some CI pipes do not


def _silence_stdout() -> None:
    """Let what is still buffered go nowhere, or it would fail once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _flush() -> bool:
    """Whether all that was written to standard output has reached its reader."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True
