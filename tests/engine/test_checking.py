"""How checks are run and what becomes of what they say, or fail to say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from img_tools import checking
from img_tools.checking import evaluate, report, run
from img_tools.model import Finding, PackageRef, Result, Skip, Status, Undecided, fail, warn
from img_tools.plugins import Plugin
from img_tools.runner import Runner
from tests.support import FakeRunner


def plugin(verb: Callable[..., Any], name: str = "sample", *, early: bool = False) -> Plugin:
    return Plugin(id=name, title=f"Title of {name}", explanation="", category="other",
                  references=("row",), early=early, verb=verb, source="sample.py")


def yields(*what: object) -> Callable[..., Iterator[object]]:
    """A check that yields what is no exception of WHAT and raises what is one."""

    def check(host: object) -> Iterator[object]:
        for one in what:
            if isinstance(one, BaseException):
                raise one
            yield one

    return check


def verdict(*what: object) -> tuple[str, str, int]:
    result = evaluate(None, plugin(yields(*what)))
    return result.status.value, result.message, len(result.findings)


FAIL, WARN = fail("bad", "it is bad"), warn("odd", "it is odd")


@pytest.mark.parametrize(("what", "expected"), [
    ([], ("pass", "", 0)),
    ([WARN], ("warn", "it is odd", 1)),
    ([FAIL], ("fail", "it is bad", 1)),
    ([WARN, FAIL, WARN], ("fail", "3 findings", 3)),
    ([Skip("not here")], ("skip", "not here", 0)),
    ([Undecided("mirror down")], ("error", "mirror down", 0)),
    ([WARN, Undecided("mirror down")], ("error", "mirror down", 1)),
    ([FAIL, Undecided("mirror down")], ("fail", "mirror down", 1)),
    ([WARN, Skip("not here")], ("warn", "it is odd", 1)),
])
def test_what_a_check_says_becomes_its_status(what, expected):
    assert verdict(*what) == expected


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(0), RecursionError("deep"),
                                   MemoryError(), OSError(5, "Input/output error")])
def test_a_check_that_breaks_is_an_error_and_never_a_pass(error):
    status, message, _ = verdict(error)
    assert status == "error"
    assert message.startswith(f"the check itself failed: {type(error).__name__}")
    assert "engine/test_checking.py:" in message


@pytest.mark.parametrize("error", [Undecided("why"), ValueError("why")])
def test_a_fail_before_it_broke_off_stays_and_says_that_it_is_not_all(error):
    result = evaluate(None, plugin(yields(WARN, FAIL, error)))
    assert result.status is Status.FAIL
    assert result.incomplete
    assert "why" in result.message
    assert [finding.code for finding in result.findings] == ["bad", "odd"]


@pytest.mark.parametrize("what", [[], [WARN], [FAIL], [WARN, FAIL], [WARN, Undecided("why")]])
def test_only_a_fail_that_broke_off_is_incomplete(what):
    assert not evaluate(None, plugin(yields(*what))).incomplete


@pytest.mark.parametrize("reason", [Skip(), Undecided(), Skip(""), Undecided("")])
def test_a_check_that_gives_no_reason_still_says_something(reason):
    """Defect 40: upstream says nothing at all where the account has no line in /etc/shadow."""
    assert verdict(reason)[1] == "no reason was given"


def test_every_check_that_ran_is_reported_even_when_it_found_nothing():
    """Defect 40: upstream's checks end in `return 1` whatever they found, and some in silence."""
    ids = ["a", "b", "c"]
    results = run(None, [plugin(yields(), name) for name in ids], jobs=2, timeout=20)
    assert [(result.id, result.status) for result in results] == [(name, Status.PASS)
                                                                  for name in ids]


@pytest.mark.parametrize("odd", [None, "text", 1, (FAIL,), Result])
def test_what_is_no_finding_is_an_error(odd):
    status, message, _ = verdict(odd)
    assert status == "error"
    assert "not a Finding" in message


@pytest.mark.parametrize("verb", [
    lambda host: None,
    lambda host: 7,
    lambda: iter(()),
    lambda host: iter([fail("Not A Code", "x")]),
    lambda host: iter([fail("ok", None)]),
    lambda host: iter([fail("ok", "x", line=0)]),
    lambda host: iter([fail("ok", "x", line="7")]),
    lambda host: iter([Finding(status=Status.PASS, code="ok", message="x")]),
])
def test_a_check_that_breaks_the_contract_is_an_error(verb):
    result = evaluate(None, plugin(verb))
    assert result.status is Status.ERROR
    assert "the check itself failed" in result.message


def test_findings_come_worst_first_and_by_path():
    findings = [warn("w", "x", path="/b"), fail("f", "x", path="/z"), warn("w", "x"),
                fail("f", "x", path="/a"), warn("w", "x", path="/a")]
    result = evaluate(None, plugin(yields(*findings)))
    assert [(finding.status.value, finding.path) for finding in result.findings] == [
        ("fail", "/a"), ("fail", "/z"), ("warn", None), ("warn", "/a"), ("warn", "/b")]


def test_every_text_of_a_finding_is_made_printable():
    nasty = "\x1b]0;owned\x07\udcff\n"
    shown = r"\x1b]0;owned\x07\xff\x0a"
    live: Any = SimpleNamespace(live=True)
    result = evaluate(live, plugin(yields(fail(
        "bad", nasty, path=nasty, account=nasty, package=PackageRef(nasty, nasty, nasty),
        evidence={nasty: nasty, "number": 7, "none": None, "odd": [nasty]}, fix=nasty))))
    (finding,) = result.findings
    assert (finding.message, finding.path, finding.account, finding.remediation) == (shown,) * 4
    assert finding.package == PackageRef(shown, shown, shown)
    assert finding.evidence[shown] == shown
    assert finding.evidence["number"] == 7
    assert finding.evidence["none"] is None
    assert str(finding.evidence["odd"]).isprintable()


def test_a_remedy_for_inside_a_mounted_image_says_so(image):
    """Typed where it is mounted, userdel would hit the machine that builds the image."""
    host = image()
    own = f"img-clean --root {host.root.top} --yes --only logs"
    fixes = ["userdel -r jo", own, None]
    result = evaluate(host, plugin(yields(*(
        fail("bad", "x", path=f"/{number}", fix=fix) for number, fix in enumerate(fixes)))))
    assert [one.remediation for one in result.findings] == [
        f"(inside {host.root.top}) userdel -r jo", own, None]


@pytest.mark.parametrize("raised", [Skip("\x1b[2J"), Undecided("\x1b[2J"), ValueError("\x1b[2J")])
def test_reasons_are_made_printable(raised):
    assert r"\x1b[2J" in verdict(raised)[1]


# -- side by side ----------------------------------------------------------------------------------


class Gate:
    """A check that waits until it is let through; opened at the end of every test."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()

    def __call__(self, host: object) -> Iterator[Finding]:
        self.reached.set()
        self.opened.wait(30)
        yield FAIL


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.opened.set()


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_one_that_hangs_is_an_error_and_the_others_still_end(gate, jobs):
    plugins = [plugin(gate, "b-hangs"), *(plugin(yields(), f"a{n}") for n in range(4))]
    results = run(None, plugins, jobs=jobs, timeout=0.3)
    assert [result.status.value for result in results] == ["error"] + ["pass"] * 4
    assert results[0].message == "took longer than 0.3 s (--timeout)"


def test_each_one_that_hangs_is_replaced_once(gate, monkeypatch):
    at_work = []
    evaluate = checking.evaluate
    monkeypatch.setattr(checking, "evaluate", lambda *given: (
        at_work.append(threading.get_ident()), evaluate(*given))[1])
    plugins = [plugin(gate, "hangs1"), plugin(gate, "hangs2"), plugin(yields(), "fine")]
    run(None, plugins, jobs=1, timeout=0.2)
    assert len(at_work) == len(set(at_work)) == 3


def test_those_that_only_judge_run_one_by_one(monkeypatch):
    """Two threads in one interpreter are slower than one."""
    monkeypatch.setattr(checking, "BUSY", 60.0)
    inside, most = [], []

    def counting(host: object) -> Iterator[Finding]:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()
        yield from ()

    run(None, [plugin(counting, f"c{n}") for n in range(5)], jobs=5, timeout=60)
    assert most == [1] * 5


def test_one_that_waits_keeps_no_other_from_beginning(gate, monkeypatch):
    monkeypatch.setattr(checking, "BUSY", 0.0)

    def opening(host: object) -> Iterator[Finding]:
        gate.opened.set()
        yield from ()

    results = run(None, [plugin(gate, "a-waits"), plugin(opening, "b")], jobs=2, timeout=10)
    assert [result.status for result in results] == [Status.FAIL, Status.PASS]


def test_early_ones_run_side_by_side(monkeypatch):
    monkeypatch.setattr(checking, "BUSY", 60.0)
    meeting = threading.Barrier(3, timeout=30)

    def waits_for_all(host: object) -> Iterator[Finding]:
        meeting.wait()
        yield from ()

    plugins = [plugin(waits_for_all, "e1", early=True), plugin(waits_for_all, "e2", early=True),
               plugin(waits_for_all, "other")]
    results = run(None, plugins, jobs=3, timeout=60)
    assert [result.status for result in results] == [Status.PASS] * 3


def test_a_worker_that_was_replaced_takes_no_more_work(gate):
    """Or there would be more of them than --jobs allows."""
    threads = []

    def noting(host: object) -> Iterator[Finding]:
        gate.opened.set()
        late.wait(0.05)
        threads.append(threading.current_thread())
        yield from ()

    late = threading.Event()
    run(None, [plugin(gate, "a"), *(plugin(noting, f"b{n}") for n in range(5))], jobs=1,
        timeout=0.3)
    assert len(set(threads)) == 1


def test_even_when_all_hang_it_ends(gate):
    plugins = [plugin(gate, f"hangs{n}") for n in range(5)]
    results = run(None, plugins, jobs=2, timeout=0.1)
    assert {result.status for result in results} == {Status.ERROR}
    assert len(results) == 5


def test_what_ends_after_it_was_given_up_changes_nothing(gate):
    results = run(None, [plugin(gate, "late")], jobs=1, timeout=0.1)
    gate.opened.set()
    assert [result.status for result in results] == [Status.ERROR]


def test_a_worker_killed_by_its_check_is_reported_at_once():
    class Gone(BaseException):
        pass

    started = time.monotonic()
    results = run(None, [plugin(yields(Gone("why")), "x"), plugin(yields(), "y")],
                  jobs=1, timeout=30)
    assert [result.status for result in results] == [Status.ERROR, Status.PASS]
    assert "Gone: why" in results[0].message
    assert time.monotonic() - started < 10


def test_results_come_in_the_order_asked_for_whoever_ends_first(gate):
    def last(host: object) -> Iterator[Finding]:
        gate.opened.set()
        yield from ()

    results = run(None, [plugin(gate, "b"), plugin(last, "a")], jobs=2, timeout=20)
    assert [result.id for result in results] == ["b", "a"]


def test_early_ones_start_first():
    started: list[str] = []

    def noting(name: str) -> Callable[..., Iterator[Finding]]:
        def check(host: object) -> Iterator[Finding]:
            started.append(name)
            yield from ()

        return check

    plugins = [plugin(noting(name), name, early=name in "ce") for name in "abcde"]
    run(None, plugins, jobs=1, timeout=20)
    assert started == ["c", "e", "a", "b", "d"]


def test_at_most_jobs_run_at_once():
    lock, now, most = threading.Lock(), [0], [0]

    def check(host: object) -> Iterator[Finding]:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.01)
        with lock:
            now[0] -= 1
        yield from ()

    run(None, [plugin(check, f"c{n}") for n in range(12)], jobs=3, timeout=20)
    assert 1 <= most[0] <= 3


def test_progress_counts_every_result_once(gate):
    seen: list[tuple[int, int, list[str]]] = []

    def note(done: int, total: int, running: list[str]) -> None:
        seen.append((done, total, running))
        if running:
            gate.opened.set()

    run(None, [plugin(gate, "hangs"), plugin(yields(), "a"), plugin(yields(FAIL), "b")], jobs=1,
        timeout=20, progress=note)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert {total for _, total, _ in seen} == {3}
    assert (0, 3, ["hangs"]) in seen
    assert seen[-1] == (3, 3, [])


def test_the_main_thread_never_waits_long_for_a_check_that_may_take_hours(gate, monkeypatch):
    """A signal that came just before it began to wait is seen when it wakes up."""
    waits = []
    real = checking.queue.SimpleQueue

    class Noting:
        def __init__(self) -> None:
            self.queue: Any = real()
            self.put, self.get_nowait = self.queue.put, self.queue.get_nowait

        def get(self, timeout: float) -> Result:
            waits.append(timeout)
            if len(waits) == 3:
                gate.opened.set()
            return self.queue.get(timeout=timeout)

    monkeypatch.setattr(checking.queue, "SimpleQueue", Noting)
    run(None, [plugin(gate)], jobs=1, timeout=3600)
    assert len(waits) >= 3
    assert max(waits) <= 0.2


def test_nothing_to_run_is_nothing_reported():
    assert run(None, [], jobs=4, timeout=1) == ()


# -- the report ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "expected", "code"), [
    ([[], [Skip("x")]], "pass", 0),
    ([[], [WARN]], "warn", 0),
    ([[WARN], [Undecided("x")]], "error", 3),
    ([[WARN], [Undecided("x")], [FAIL]], "fail", 1),
    ([[ValueError("x")]], "error", 3),
])
def test_verdict_counts_and_exit_code_follow_from_the_results(image, ends, expected, code):
    plugins = [plugin(yields(*what), f"c{n}") for n, what in enumerate(ends)]
    made = report(image(), plugins, jobs=2, timeout=20)
    assert (made.verdict.value, made.exit_code) == (expected, code)
    assert made.counts["total"] == len(ends) == sum(
        made.counts[status.value] for status in Status)


def test_fail_on_warn_changes_the_exit_code_alone(image):
    made = report(image(), [plugin(yields(WARN))], jobs=1, timeout=20, fail_on_warn=True)
    assert (made.verdict, made.exit_code) == (Status.WARN, 1)
    calm = report(image(), [plugin(yields())], jobs=1, timeout=20, fail_on_warn=True)
    assert calm.exit_code == 0


def test_the_platform_is_described(image):
    made = report(image(), [plugin(yields())], jobs=1, timeout=20, left_out=["x"])
    assert made.platform.os_id == "debian"
    assert made.platform.version_id == "12"
    assert made.platform.pretty_name == "Debian GNU/Linux 12 (bookworm)"
    assert made.platform.package_manager == "apt"
    assert made.platform.kernel is None
    assert made.run.mode == "rootfs"
    assert made.run.left_out == ("x",)


@pytest.mark.parametrize("files", [{"/etc/os-release": None}, {"/etc/os-release": b"ID=\xff\xfe"},
                                   {"/etc/os-release": "NAME='unclosed"},
                                   {"/etc/os-release": "ID=no-such-distribution\n"}])
def test_an_unknown_platform_does_not_end_the_run(image, files):
    """Defect 38: upstream exits on an unsupported system before any other check."""
    made = report(image(files), [plugin(yields(), "a"), plugin(yields(FAIL), "b")], jobs=1,
                  timeout=20)
    assert [result.status for result in made.results] == [Status.PASS, Status.FAIL]
    assert made.platform.package_manager is None


def test_a_platform_that_hangs_does_not_hang_the_report(image, gate, monkeypatch):
    """A check that was given up may still hold what the head of the report asks for."""
    host = image()
    monkeypatch.setattr(checking, "_ask", lambda host, facts: gate.opened.wait(30))
    made = report(host, [plugin(yields())], jobs=1, timeout=0.2)
    assert made.platform.os_id is None
    assert made.verdict is Status.PASS


def test_a_command_outlived_by_its_check_names_itself(image):
    """The runner gives up a little before the check does: its message names the command."""
    host = image()
    host.run = Runner("/", timeout=0.2)

    def check(host: Any) -> Iterator[Finding]:
        host.run("sleep", "1000")
        yield from ()

    (result,) = run(host, [plugin(check)], jobs=1, timeout=20)
    assert result.status is Status.ERROR
    assert "`sleep 1000` took longer than 0.2 s" in result.message


def test_an_unexpected_command_in_a_test_is_not_taken_for_an_error(image):
    """FakeRunner's exception passes through evaluate(): a forgotten command fails its test."""
    from tests.support import Unexpected

    def check(host: Any) -> Iterator[Finding]:
        host.run("forgotten")
        yield from ()

    host = image()
    assert isinstance(host.run, FakeRunner)
    with pytest.raises(Unexpected):
        evaluate(host, plugin(check))
