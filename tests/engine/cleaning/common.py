"""Cleaners made on the spot, and what becomes of their actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from img_tools import actions, cleaning, residue
from img_tools.actions import (
    CleanReport,
    Empty,
    Remove,
    Run,
    Truncate,
    Write,
)
from img_tools.host import Host
from img_tools.plugins import Plugin
from img_tools.report import clean as views
from tests.support import (
    validated_clean,
)

Plan = Callable[[Host], Iterator[Any]]


def cleaner(name: str, *what: object, plan: Plan | None = None) -> Plugin:
    """A cleaner that asks for WHAT; an exception in it is raised."""
    def asks(host: Host) -> Iterator[Any]:
        for one in what:
            if isinstance(one, BaseException):
                raise one
            yield one

    return Plugin(id=name, title=f"Clean {name}", explanation="", category="other", references=(),
                  early=False, verb=plan or asks, source="here")


def topic(name: str) -> Plugin:
    """The cleaner of a topic of the catalogue."""
    return cleaner(name, plan=lambda host: residue.actions(host, name))


def run(host: Host, *plugins: Plugin, dry_run: bool = False, **options: Any) -> CleanReport:
    report = cleaning.report(host, plugins, dry_run=dry_run, **options)
    validated_clean(views.render_json(report))
    shown = views.render_text(report, verbose=True)
    assert all(line.isprintable() for line in shown.splitlines())
    return report


def outcomes(report: CleanReport, index: int = 0) -> list[str]:
    return [step.outcome.value for step in report.results[index].steps]


def at(host: Host, path: str) -> Path:
    return Path(host.root.top + path)


EVERYTHING: tuple[actions.Action, ...] = (
    Remove("/tmp/a", "w"), Empty("/tmp/d", "w"), Truncate("/var/log/syslog", "w"),
    Write("/etc/id", "new", 0o444, "w"), Run(("true",), "w"))
