"""Cleaners carried out: what becomes of each action and each error."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from img_tools import actions
from img_tools.actions import (
    Empty,
    Remove,
    Run,
    Truncate,
    Write,
)
from img_tools.host import Host
from img_tools.model import Skip, Undecided
from img_tools.report import clean as views
from tests.conftest import BASE
from tests.engine.cleaning.common import EVERYTHING, at, cleaner, outcomes, run
from tests.support import (
    FakeRunner,
    Unexpected,
    build,
    manifest,
    missing,
    validated_clean,
)


def test_every_action_is_done_and_its_bytes_counted(tree):
    report = run(tree, cleaner("all", *EVERYTHING))
    assert outcomes(report) == ["done"] * 5
    assert [step.size for step in report.results[0].steps] == [2, 3, 4, 3, None]
    assert (report.results[0].status, report.verdict, report.exit_code) == ("done", "pass", 0)
    assert not at(tree, "/tmp/a").exists()
    assert os.listdir(at(tree, "/tmp/d")) == []
    assert at(tree, "/var/log/syslog").read_text() == ""
    assert at(tree, "/etc/id").read_text() == "new"


def test_a_dry_run_changes_nothing_and_runs_nothing(tree):
    before = manifest(Path(tree.root.top))
    report = run(tree, cleaner("all", *EVERYTHING), dry_run=True)
    assert manifest(Path(tree.root.top)) == before
    assert tree.run.calls == []
    assert outcomes(report) == ["planned"] * 5
    assert (report.results[0].status, report.exit_code) == ("planned", 0)


def test_what_is_gone_is_absent_and_as_good_as_done(tree):
    report = run(tree, cleaner("all", Remove("/tmp/none", "w"), Truncate("/none/log", "w"),
                               Empty("/none", "w"), Remove("/tmp/a/below", "w")))
    assert outcomes(report) == ["absent"] * 4
    assert report.exit_code == 0


def test_an_error_is_an_outcome_and_the_run_goes_on(tree):
    report = run(tree, cleaner("one", Truncate("/tmp/d", "w"), Run(("false",), "w"),
                               Write("/none/x", "", 0o644, "w"), Remove("/tmp/x\0y", "w"),
                               Remove("/tmp/../etc", "w"), Remove("/tmp/a", "w")),
                 cleaner("two", Empty("/tmp/d", "w")))
    assert outcomes(report) == [*["failed"] * 5, "done"]
    assert outcomes(report, 1) == ["done"]
    assert [result.status for result in report.results] == ["failed", "done"]
    assert report.results[0].steps[0].error == "not a regular file"
    assert "it is bad" in (report.results[0].steps[1].error or "")
    assert (report.exit_code, report.verdict) == (1, "fail")
    assert report.counts["actions_failed"] == 5
    assert at(tree, "/etc/passwd").exists()


def test_a_missing_program_is_a_failure_and_not_an_absence(image):
    host = image({}, {("gone",): missing("gone")})
    assert outcomes(run(host, cleaner("one", Run(("gone",), "w")))) == ["failed"]


@pytest.mark.parametrize(("ends", "status", "words"), [
    (Skip("not here"), "skip", "not here"),
    (Undecided("cannot tell\x1b[31m"), "failed", r"cannot tell\x1b[31m"),
    (ValueError("oops"), "failed", "the cleaner itself failed: ValueError: oops"),
    (RecursionError(), "failed", "the cleaner itself failed: RecursionError"),
    (SystemExit(0), "failed", "the cleaner itself failed: SystemExit: 0"),
    (Remove("/tmp/d", None), "failed", "no text"),
    (Remove(b"/tmp/d", "w"), "failed", "no text"),
    (Run(("true", 5), "w"), "failed", "no text"),
    ("a text", "failed", "it asked for a str, which is no action"),
    (None, "failed", "it asked for a NoneType"),
])
@pytest.mark.parametrize("dry_run", [True, False])
def test_how_a_cleaner_ends(tree, ends, status, words, dry_run):
    report = run(tree, cleaner("one", Remove("/tmp/a", "w"), ends),
                 cleaner("two", Empty("/tmp/d", "w")), dry_run=dry_run)
    assert report.results[0].status == status
    assert words in report.results[0].message
    assert outcomes(report) == ["planned" if dry_run else "done"]
    assert report.results[1].status == ("planned" if dry_run else "done")
    assert report.exit_code == (status == "failed")


def test_a_command_no_test_announced_is_not_swallowed(tree):
    with pytest.raises(Unexpected):
        run(tree, cleaner("one", Run(("reboot",), "w")))


def test_a_failed_action_outranks_a_skip(tree):
    report = run(tree, cleaner("one", Truncate("/tmp/d", "w"), Skip("enough")))
    assert (report.results[0].status, report.exit_code) == ("failed", 1)


def test_each_is_planned_when_its_turn_comes(image):
    """What an earlier one wrote, a later one sees; facts are not remembered."""
    host = image({"/etc/passwd": BASE["/etc/passwd"]})
    seen = []

    def plan(host: Host) -> Iterator[actions.Action]:
        seen.append(host.accounts.by_name("new") if hasattr(host.accounts, "by_name") else
                    any(account.name == "new" for account in host.accounts.all))
        yield from ()

    text = f"{BASE['/etc/passwd']}new:x:5000:5000::/:/bin/sh\n"
    run(host, cleaner("a", plan=plan), cleaner("b", Write("/etc/passwd", text, 0o644, "w")),
        cleaner("c", plan=plan))
    assert not seen[0]
    assert seen[1]


def test_a_directory_replaced_by_a_command_is_looked_up_again(image):
    """The surgeon keeps the last directory open: not across what may replace it."""
    host = image({"/tmp/d/a": "x", "/tmp/d/b": "x"})
    top = Path(host.root.top)

    class Replacing(FakeRunner):
        def __call__(self, *argv: str, **options: Any) -> Any:
            os.rename(top / "tmp/d", top / "tmp/old")
            build(top, {"/tmp/d/b": "new"})

    host.run = Replacing({})
    report = run(host, cleaner("one", Remove("/tmp/d/a", "w"), Run(("x",), "w"),
                               Remove("/tmp/d/b", "w")))
    assert outcomes(report) == ["done"] * 3
    assert not (top / "tmp/d/b").exists()
    assert (top / "tmp/old/b").exists()


def test_a_signal_ends_it_after_the_action_under_way(tree):
    came: list[int] = []

    def plan(host: Host) -> Iterator[actions.Action]:
        yield Remove("/tmp/a", "w")
        came.append(signal.SIGTERM)
        yield Empty("/tmp/d", "w")

    report = run(tree, cleaner("one", plan=plan), cleaner("two", Truncate("/var/log/syslog", "w")),
                 stop=lambda: came[0] if came else None)
    assert [result.status for result in report.results] == ["stopped", "stopped"]
    assert (report.exit_code, report.verdict) == (143, "error")
    assert validated_clean(views.render_json(report))["run"]["complete"] is False
    assert "STOPPED after 1 action." in views.render_text(report)
    assert at(tree, "/tmp/d/x").exists()
    assert at(tree, "/var/log/syslog").read_text() == "6789"


def test_a_failure_before_the_signal_is_told_too(tree):
    came: list[int] = []

    def plan(host: Host) -> Iterator[actions.Action]:
        yield Truncate("/tmp/d", "w")
        came.append(signal.SIGINT)

    report = run(tree, cleaner("one", plan=plan), cleaner("two"),
                 stop=lambda: came[0] if came else None)
    assert (report.exit_code, report.verdict) == (130, "fail")
    text = views.render_text(report)
    assert "FAILED: 1 of 1 action failed (one)" in text
    assert "STOPPED after 1 action" in text
