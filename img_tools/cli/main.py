"""What both commands do around their work: one clear line for every error, and exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import click


class Stop(BaseException):
    """A signal asked us to end; BaseException, so that no check takes it for its own."""

    def __init__(self, number: int) -> None:
        self.number = number


class Undelivered(click.ClickException):
    """A report that could not be written: whoever waits for it has no verdict."""

    exit_code = 3


def write_atomically(path: str, text: str) -> None:
    """Put TEXT at PATH whole or not at all. Raises Undelivered, leaving what was there."""
    directory = os.path.dirname(path) or "."
    try:
        fd, draft = tempfile.mkstemp(prefix=".img-tools-", dir=directory)
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
    except OSError as error:
        raise Undelivered(f"cannot write {path}: {error.strerror}") from None


def run(command: click.Command) -> NoReturn:
    """Run COMMAND and exit: its own code, 2 for bad usage, 128+n for a signal n."""
    name = command.name or "img-tools"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    code = _guard(name, lambda: int(command.main(prog_name=name, standalone_mode=False) or 0))
    # Threads of checks that hang in the kernel must not keep the process: leave without them.
    _flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)  # let the clean-up finish
    raise Stop(number)


def _guard(name: str, work: Callable[[], int]) -> int:
    try:
        return work()
    except Stop as stop:
        click.echo(f"{name}: interrupted, nothing was changed", err=True)
        return 128 + stop.number
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        return complain(name, error.format_message(), error.exit_code)
    except Exception as error:
        return complain(name, f"internal error: {type(error).__name__}: {error}; "
                              "please report it (no verdict was reached)", 3)


def complain(name: str, message: str, code: int) -> int:
    """One line on stderr; returns CODE."""
    click.echo(f"{name}: {' '.join(message.split())}", err=True)
    return code


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
