"""Cleaners carried out: what becomes of each action, each error, and of what lies outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from img_tools import actions, cleaning, residue, session
from img_tools.actions import (
    SHOWN,
    CleanReport,
    CleanStatus,
    Empty,
    Outcome,
    Remove,
    Run,
    Step,
    Tally,
    Truncate,
    Write,
)
from img_tools.host import Host
from img_tools.model import Skip, Undecided
from img_tools.plugins import Plugin
from img_tools.report import clean as views
from tests.conftest import BASE
from tests.engine import reports
from tests.engine.test_surgery import flipping
from tests.support import FakeRunner, Fifo, File, Link, Unexpected, build, missing, validated_clean

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


def manifest(top: Path) -> list[tuple[object, ...]]:
    found = []
    for path in [top, *top.rglob("*")]:
        info = os.lstat(path)
        found.append((str(path), *info[:7], info.st_mtime_ns, info.st_ctime_ns))
    return sorted(found)


@pytest.fixture
def tree(image: Callable[..., Host]) -> Host:
    return image({"/tmp/a": "12", "/tmp/d/x": "345", "/var/log/syslog": File("6789", mode=0o640),
                  "/etc/id": "old"}, {("true",): "", ("false",): (1, "", "it is bad")})


def at(host: Host, path: str) -> Path:
    return Path(host.root.top + path)


EVERYTHING: tuple[actions.Action, ...] = (
    Remove("/tmp/a", "w"), Empty("/tmp/d", "w"), Truncate("/var/log/syslog", "w"),
    Write("/etc/id", "new", 0o444, "w"), Run(("true",), "w"))


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


# -- signals ---------------------------------------------------------------------------------------


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


# -- the catalogue's cleaners on hostile trees -----------------------------------------------------

CANARY = "do not touch\n"
ANN = (f"{BASE['/etc/passwd']}ann:x:1000:1000::/home/ann:/bin/bash\n"
       "bob:x:1001:1001::/home/bob:/bin/bash\n")


def test_a_link_of_somebody_else_in_tmp_leads_root_nowhere(image):
    """Anybody may make /tmp/.X11-unix when it is not there; what it leads to is not temporary."""
    host = image({"/etc/passwd": ANN, "/tmp/.X11-unix": Link("/etc")})
    if os.geteuid() != 0:
        pytest.skip("needs root to make a link of somebody else")
    os.lchown(at(host, "/tmp/.X11-unix"), 1000, 1000)
    report = run(host, topic("temp-files"))
    assert report.exit_code == 0
    assert at(host, "/etc/passwd").exists()
    assert at(host, "/etc/os-release").exists()
    assert not os.path.lexists(at(host, "/tmp/.X11-unix"))


def test_links_of_root_are_followed(image):
    """/var/spool/mail and /var/log may be links, made by the distribution or the vendor."""
    host = image({"/data/log/syslog": "x", "/var/log": Link("../data/log"), "/var/mail/ann": "x",
                  "/var/spool/mail": Link("/var/mail")})
    report = run(host, topic("logs"), topic("mail-and-spools"))
    assert report.exit_code == 0
    assert at(host, "/data/log/syslog").read_text() == ""
    assert at(host, "/var/mail/ann").read_text() == ""


def test_a_hard_link_in_the_logs_destroys_nothing(image):
    host = image({"/srv/data": CANARY, "/var/log/app/other.log": "x"})
    os.link(at(host, "/srv/data"), at(host, "/var/log/app/app.log"))
    report = run(host, topic("logs"))
    assert at(host, "/srv/data").read_text() == CANARY
    assert at(host, "/var/log/app/other.log").read_text() == ""
    assert report.exit_code == 1
    assert "has 2 names" in views.render_text(report)


def test_pipes_where_files_are_expected_do_not_hang_it(image):
    host = image({"/etc/passwd": ANN, "/var/log/syslog": Fifo(), "/home/ann/.bash_history": Fifo(),
                  "/tmp/pipe": Fifo(), "/var/mail/ann": Fifo()})
    report = run(host, *map(topic, ("logs", "shell-history", "temp-files", "mail-and-spools")))
    assert report.exit_code == 0
    assert not at(host, "/tmp/pipe").exists()


def test_no_flipped_link_reaches_another_user_or_the_outside(image, tmp_path):
    """Ann flips her directories with links to Bob's and to files of the host, as root cleans."""
    build(tmp_path, {"/host/canary": CANARY, "/host/fish_history": CANARY})
    bob = {f"/home/bob/{name}": CANARY for name in (
        ".bash_history.real", "x/fish_history", "x/app.log")}
    host = image({"/etc/passwd": ANN, **bob, "/srv/keep/app.log": CANARY})
    top = Path(host.root.top)
    secret = top / "srv/keep/app.log"
    flips = []

    def restore() -> None:
        files = {"/home/ann/.local/share/fish/fish_history": "x", "/home/ann/.bash_history": "x",
                 "/home/ann/.one": Link("../bob/x"), "/home/ann/.two": Link(f"{tmp_path}/host/"
                 "canary"), "/var/log/app/sub/app.log": "x", "/var/log/app/.s": Link("/srv/keep"),
                 "/tmp/x/fish_history": "x", "/tmp/y": Link("/home/bob/x")}
        for path, what in files.items():
            with contextlib.suppress(OSError):
                if not os.path.lexists(f"{top}{path}"):
                    build(top, {path: what})
                if isinstance(what, Link) and os.geteuid() == 0:
                    os.lchown(f"{top}{path}", 1000, 1000)

    restore()
    flips = [(top / "home/ann/.local/share/fish", top / "home/ann/.one"),
             (top / "home/ann/.bash_history", top / "home/ann/.two"),
             (top / "var/log/app/sub", top / "var/log/app/.s"), (top / "tmp/x", top / "tmp/y")]
    with flipping(*flips):
        for _ in range(40):
            cleaning.report(host, [topic("shell-history"), topic("logs"), topic("temp-files")],
                            dry_run=False)
            restore()
    assert secret.read_text() == CANARY
    assert {path: (top / path[1:]).read_text() for path in bob} == bob
    assert {path.read_text() for path in (tmp_path / "host").iterdir()} == {CANARY}


KILLED = """
import os, signal, sys
from img_tools import cleaning, residue
from img_tools.host import Host
from img_tools.plugins import Plugin
from img_tools.rootfs import RootFS

from img_tools.runner import Runner
from img_tools.surgery import Surgeon
from img_tools.actions import Write
left = [int(sys.argv[2])]
def count(name):
    act = getattr(os, name)
    def counted(*args, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return act(*args, **options)
    setattr(os, name, counted)
for name in ("unlink", "rmdir", "ftruncate", "rename", "fsync", "fchmod"):
    count(name)
def topic(name):
    return Plugin(id=name, title=name, explanation="", category="other", references=(),
                  early=False, verb=lambda host: residue.actions(host, name), source="")
def write(host):
    if host.root.stat("/etc/machine-id") is None:
        yield Write("/etc/machine-id", "", 0o444, "w")
writer = Plugin(id="w", title="w", explanation="", category="other", references=(), early=False,
                verb=write, source="")
host = Host(RootFS(sys.argv[1]), Runner(sys.argv[1]))
plugins = [writer, *map(topic, ("shell-history", "temp-files", "logs"))]
report = cleaning.report(host, plugins, dry_run=False)
again = cleaning.report(host, plugins, dry_run=True)
print(report.exit_code, again.counts["actions"])
"""


@pytest.mark.parametrize("when", [1, 2, 3, 4, 50, 700, 1500, 2400])
def test_killed_at_any_point_the_next_run_finishes(image, tmp_path, when):
    build(tmp_path, {"/outside/canary": CANARY})
    host = image({"/etc/passwd": ANN, "/home/ann/.bash_history": "x", "/root/.bash_history": "x",
                  **{f"/tmp/{n % 40}/{n}": "x" for n in range(1000)},
                  **{f"/tmp/file{n}": "x" for n in range(500)},
                  **{f"/var/log/{n}.log": "x" for n in range(500)},
                  **{f"/var/log/{n}.log.1": "x" for n in range(400)},
                  "/tmp/out": Link(f"{tmp_path}/outside"), "/home/bob/keep": CANARY})
    top = host.root.top

    def once(kill: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", KILLED, top, str(kill)], text=True,
                              capture_output=True, check=False)

    assert once(when).returncode == -signal.SIGKILL
    done = once(-1)
    assert done.stdout == "0 0\n", done.stderr
    assert os.listdir(at(host, "/tmp")) == []
    assert sorted(os.listdir(at(host, "/etc"))) == ["machine-id", "os-release", "passwd", "shadow"]
    assert len(os.listdir(at(host, "/var/log"))) == 500
    assert at(host, "/home/bob/keep").read_text() == CANARY
    assert (tmp_path / "outside/canary").read_text() == CANARY


# -- powering off ----------------------------------------------------------------------------------


class Shell:
    def __init__(self, events: list[str]) -> None:
        self._events = events

    def kill(self) -> None:
        self._events.append("shell killed")


def test_powering_off_kills_the_shells_first_and_survives_their_hang_up(monkeypatch):
    """A shell that ends by SIGHUP would write its history again."""
    events: list[str] = []
    monkeypatch.setattr(session, "_interactive", lambda: [Shell(events)])
    monkeypatch.setattr(os, "sync", lambda: events.append("sync"))

    class Noting(FakeRunner):
        def __call__(self, *argv: str, **options: Any) -> Any:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            events.append(" ".join(argv))

    before = signal.getsignal(signal.SIGHUP)
    try:
        session.power_off(Noting({}))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert events.index("shell killed") < events.index("systemctl poweroff")
    assert events[-1] == "systemctl poweroff"
    assert "sync" in events


def test_the_statuses_of_the_schema_are_those_there_are():
    rules = json.loads(views.schema())["properties"]
    cleaner_rules = rules["cleaners"]["items"]["properties"]
    assert cleaner_rules["status"]["enum"] == list(CleanStatus)
    outcome = cleaner_rules["actions"]["items"]["properties"]["outcome"]["enum"]
    assert sorted(outcome) == sorted(Outcome)
