"""Building blocks of the tests: trees from dicts, a runner that never runs, checks by hand."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from img_tools import cleaning
from img_tools.actions import Action, Outcome, RemoveFiles, Run
from img_tools.host import Host
from img_tools.model import Finding
from img_tools.report.clean import schema as clean_schema
from img_tools.report.json import schema
from img_tools.runner import CommandError, CommandMissing, Completed, Runner
from img_tools.surgery import Surgeon


@dataclass(frozen=True)
class Link:
    """A symbolic link to TARGET, verbatim."""

    target: str


@dataclass(frozen=True)
class File:
    """A file with a mode of its own, or of a size without content (sparse)."""

    content: str | bytes = ""
    mode: int = 0o644
    size: int | None = None


@dataclass(frozen=True)
class Fifo:
    """A named pipe."""


def build(top: Path, files: Mapping[str, object]) -> None:
    """Make FILES below TOP: str or bytes is content, {} a directory, None nothing, or see above."""
    for name, what in files.items():
        path = os.fsencode(top) + os.fsencode(name)
        if what is None:
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(what, Link):
            os.symlink(what.target, path)
        elif isinstance(what, Fifo):
            os.mkfifo(path)
        elif isinstance(what, dict):
            os.makedirs(path, exist_ok=True)
        else:
            _file(path, what if isinstance(what, File) else File(what))  # type: ignore[arg-type]


def _file(path: bytes, what: File) -> None:
    content = what.content.encode("utf-8", "surrogateescape") if isinstance(
        what.content, str) else what.content
    # Through a link it would be a file of this machine that is written and loses its mode.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        if what.size is not None:
            file.truncate(what.size)
        os.fchmod(fd, what.mode)


def dpkg(**versions: str) -> str:
    """A dpkg status file; `openssh_server="1:9.2p1-2"` is the package openssh-server."""
    return "\n".join(
        f"Package: {name.replace('_', '-')}\nStatus: install ok installed\n"
        f"Architecture: amd64\nVersion: {version}\n"
        for name, version in versions.items()
    )


class Unexpected(BaseException):
    """A command no test announced; BaseException, so that no check swallows it."""


class FakeRunner(Runner):
    """Answers from COMMANDS: argv -> stdout, (code, stdout, stderr), or an exception to raise."""

    def __init__(self, commands: Mapping[tuple[str, ...], object]) -> None:
        super().__init__()
        self.commands = dict(commands)
        self.calls: list[tuple[str, ...]] = []

    def __call__(
        self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        self.calls.append(argv)
        if argv not in self.commands:
            raise Unexpected(" ".join(argv))
        answer = self.commands[argv]
        if isinstance(answer, BaseException):
            raise answer
        code, out, err = answer if isinstance(answer, tuple) else (0, str(answer), "")
        if code not in ok:
            raise CommandError(argv, f"exited with {code}", out, err)
        return Completed(argv, code, out, err)


def missing(*argv: str) -> CommandMissing:
    """What a runner raises for a program that is not in the image."""
    return CommandMissing(argv, "is not in the image")


def check(check_id: str, host: Host) -> list[Finding]:
    """All findings of the check CHECK_ID over HOST; Skip and Undecided come through."""
    module: Any = import_module(f"img_tools.checks.{check_id.replace('-', '_')}")
    found = list(module.check(host))
    said = {finding.code for finding in found if isinstance(finding, Finding)}
    assert said <= set(module.CODES), "CODES lacks what a policy file may name"
    return found


def codes(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """[(status, code), ...] of FINDINGS in order: what most tests compare."""
    return [(finding.status.value, finding.code) for finding in findings]


def mended_by(finding: Finding) -> str | None:
    """The cleaner that the remedy of FINDING runs, on the image that was looked at."""
    command = re.match(r"img-clean --root \S+/image --yes --only (\S+)", finding.remediation or "")
    return command and command[1]


def validated(report_json_text: str) -> dict[str, Any]:
    """The report parsed, after the shipped schema and ASCII-only printable text were demanded."""
    assert all(char == "\n" or " " <= char <= "~" for char in report_json_text)
    document: dict[str, Any] = json.loads(report_json_text)
    rules = json.loads(schema())
    Draft202012Validator.check_schema(rules)
    Draft202012Validator(rules, format_checker=_FORMATS).validate(document)
    return document


def validated_clean(text: str) -> dict[str, Any]:
    """The report of img-clean, after the shipped schema and ASCII-only text were demanded."""
    assert text.isascii()
    document: dict[str, Any] = json.loads(text)
    rules = json.loads(clean_schema())
    Draft202012Validator.check_schema(rules)
    Draft202012Validator(rules).validate(document)
    return document


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_rfc3339(value: object) -> bool:
    """jsonschema itself checks this format only with one more package installed."""
    return not isinstance(value, str) or (
        "T" in value and datetime.fromisoformat(value).utcoffset() is not None)


def needs(present: bool, what: str) -> None:
    """Skip the test without WHAT; in CI (CI=true), where it must run, fail it."""
    if present:
        return
    if os.environ.get("CI"):
        pytest.fail(f"this test must run in CI and needs {what}")
    pytest.skip(f"needs {what}")


def plan(cleaner_id: str, host: Host) -> list[Action]:
    """All that the cleaner CLEANER_ID would do to HOST; Skip and Undecided come through."""
    module: Any = import_module(f"img_tools.cleaners.{cleaner_id.replace('-', '_')}")
    return list(module.plan(host))


def carried_out(cleaner_id: str, host: Host) -> list[str]:
    """Carry the plan of CLEANER_ID out and return the paths concerned; the next plan is empty.

    That it is, and that no step fails, is demanded here: the law that every cleaner obeys.
    """
    module: Any = import_module(f"img_tools.cleaners.{cleaner_id.replace('-', '_')}")
    paths = []
    with Surgeon(host.root) as surgeon:
        for planned in module.plan(host):
            for action in planned.each() if isinstance(planned, RemoveFiles) else [planned]:
                step = cleaning.apply(host, surgeon, action)
                assert step.outcome in (Outcome.DONE, Outcome.ABSENT), step
                if not isinstance(action, Run):
                    paths.append(action.path)
    host.forget()
    assert plan(cleaner_id, host) == []
    return sorted(paths)


@contextlib.contextmanager
def flipping(*pairs: tuple[Path, Path]) -> Iterator[None]:
    """Exchange the places of each pair, over and over, while the block runs."""
    done = threading.Event()

    def flip() -> None:
        while not done.is_set():
            for one, other in pairs:
                spare = one.with_name(f".spare-{one.name}")
                with contextlib.suppress(OSError):
                    os.rename(one, spare)
                    os.rename(other, one)
                    os.rename(spare, other)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def manifest(top: Path) -> list[tuple[object, ...]]:
    """All that can be told of each file below TOP, and of TOP."""
    found = []
    for path in [top, *top.rglob("*")]:
        info = os.lstat(path)
        found.append((str(path), *info[:7], info.st_mtime_ns, info.st_ctime_ns))
    return sorted(found)


class NoCommands(Runner):
    """An image without a single program."""

    def __call__(self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
                 timeout: float | None = None) -> Completed:
        raise CommandMissing(argv, "is not in the image")
