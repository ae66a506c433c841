"""Many files at once, and the report."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from img_tools import residue, session
from img_tools.actions import (
    SHOWN,
    Outcome,
    Remove,
    Run,
    Step,
    Tally,
    Truncate,
)
from img_tools.host import Host
from img_tools.model import Undecided
from img_tools.plugins import Plugin
from img_tools.report import clean as views
from tests.engine import reports
from tests.engine.cleaning.common import at, cleaner, outcomes, run, topic
from tests.support import (
    Fifo,
    Link,
    validated_clean,
)

# -- many ------------------------------------------------------------------------------------------


def test_steps_are_bounded_and_all_are_counted():
    tally = Tally()
    for number in range(10 * SHOWN):
        tally.add(Step(Remove(f"/{number}", "w"), Outcome.DONE, 1))
        tally.add(Step(Remove(f"/{number}", "w"), Outcome.FAILED, error="no"))
    assert len(tally.steps) == 2 * SHOWN
    assert tally.outcomes == {Outcome.DONE: 10 * SHOWN, Outcome.FAILED: 10 * SHOWN}
    assert tally.size == 10 * SHOWN


def test_a_failure_after_many_steps_is_kept():
    tally = Tally()
    for number in range(3 * SHOWN):
        tally.add(Step(Remove(f"/{number}", "w"), Outcome.DONE))
    tally.add(Step(Remove("/bad", "w"), Outcome.FAILED, error="no"))
    assert tally.steps[-1].error == "no"


def test_a_long_list_is_cut_short_in_the_text_and_counted(tree):
    report = run(tree, cleaner("one", *(Remove(f"/tmp/{n}", "w") for n in range(25)),
                               Truncate("/tmp/d", "w")))
    text = views.render_text(report)
    assert "... and 15 more" in text
    assert "failed  truncate /tmp/d: not a regular file" in text
    assert validated_clean(views.render_json(report))["cleaners"][0]["total"] == 26


@pytest.mark.parametrize(("verbose", "lines"), [
    (False, ["... and 990 more (-v, or the JSON report)",
             "... and 5 more, which are counted and not listed"]),
    (True, ["... and 5 more, which are counted and not listed"]),
])
def test_where_the_rest_of_a_long_list_is_is_said(tree, verbose, lines):
    report = run(tree, cleaner("one", *(Remove(f"/tmp/{n}", "w") for n in range(1005))))
    text = views.render_text(report, verbose=verbose)
    assert [line.strip() for line in text.splitlines() if "..." in line] == lines


def test_what_two_cleaners_plan_for_a_path_is_counted_once_as_it_is_done_once(tree):
    def logs(host: Host) -> Iterator[Any]:
        yield from residue.actions(host, "logs")

    plugins = (cleaner("logs", plan=logs), cleaner("one", Run(("true",), "w")),
               cleaner("two", Run(("true",), "w"), Remove("/tmp/a", "w")),
               cleaner("final", plan=logs))
    planned = run(tree, *plugins, dry_run=True)
    assert [len(result.steps) for result in planned.results] == [1, 1, 2, 0]
    assert ("PLANNED final: Clean final\n        1 of the actions above once more"
            in views.render_text(planned))
    assert planned.counts["actions"] == run(tree, *plugins).counts["actions"] == 4


CROWDED = {f"/tmp/sess_{n}": "x" for n in range(3 * residue.CROWD)}


def test_a_crowd_in_one_directory_goes_and_every_file_is_counted(image):
    """Directories, links and files in use among them are treated as they are alone."""
    host = image({**CROWDED, "/tmp/dir/x": "x", "/tmp/link": Link("/etc"), "/tmp/used": "x",
                  "/tmp/pipe": Fifo(), "/tmp/lost+found/x": "x"})
    plan = cleaner("temp-files", plan=lambda host: residue.actions(
        host, "temp-files", spared=lambda path: path in ("/tmp", "/tmp/used")))
    wanted = len(CROWDED) + 3
    planned = run(host, plan, dry_run=True)
    assert planned.results[0].counts == {Outcome.PLANNED: wanted}
    report = run(host, plan)
    assert report.results[0].counts == {Outcome.DONE: wanted}
    assert report.results[0].size is None
    assert sorted(os.listdir(at(host, "/tmp"))) == ["lost+found", "used"]
    assert at(host, "/etc/passwd").exists()


def test_failures_in_a_crowd_are_told_one_by_one(image, monkeypatch):
    host = image(CROWDED)
    real = os.unlink

    def unlink(path: str, **options: Any) -> None:
        if path in ("sess_7", "sess_8"):
            raise PermissionError(1, "Operation not permitted")
        if path == "sess_9":
            real(path, **options)
            raise FileNotFoundError(2, "No such file or directory")
        real(path, **options)

    monkeypatch.setattr(os, "unlink", unlink)
    report = run(host, topic("temp-files"))
    assert report.results[0].counts == {
        Outcome.DONE: len(CROWDED) - 3, Outcome.FAILED: 2, Outcome.ABSENT: 1}
    assert {(step.action.path, step.error) for step in report.results[0].steps
            if step.outcome is Outcome.FAILED} == {
        (f"/tmp/sess_{n}", "Operation not permitted") for n in (7, 8)}
    assert report.exit_code == 1


def test_a_crowd_behind_somebody_elses_link_is_left_alone(image):
    if os.geteuid() != 0:
        pytest.skip("needs root to make a link of somebody else")
    host = image({f"/srv/keep/{n}.log.1": "x" for n in range(2 * residue.CROWD)}
                 | {"/var/log": Link("/srv/keep")})
    os.lchown(at(host, "/var/log"), 1000, 1000)
    run(host, topic("logs"))
    assert len(os.listdir(at(host, "/srv/keep"))) == 2 * residue.CROWD


# -- the report ------------------------------------------------------------------------------------


def test_the_report_of_the_check_decides_when_the_cleaning_went_well(tree):
    from dataclasses import replace

    done = run(tree, cleaner("one"))
    for result, code, verdict in ((reports.FAILED, 1, "fail"), (reports.BROKEN, 3, "error"),
                                  (reports.WARNED, 0, "pass")):
        report = replace(done, check=reports.report(result))
        assert (report.exit_code, report.verdict) == (code, verdict)
        assert validated_clean(views.render_json(report))["check"]["schema"] == "img-check-report"
        assert result.id in views.render_text(report, verbose=True)


def test_what_cannot_be_told_about_people_does_not_keep_it_from_cleaning(tree, monkeypatch):
    def notes(host: Host, plugins: Sequence[Plugin]) -> Iterator[str]:
        raise Undecided("no shadow")
        yield ""

    monkeypatch.setattr(session, "notes", notes)
    report = run(tree, cleaner("one", Remove("/tmp/a", "w")))
    assert outcomes(report) == ["done"]
    assert "no shadow" in report.notes[0]
