"""Checks that run at the same time, their ends and their signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from img_tools import checking
from img_tools.checking import run
from img_tools.model import Finding, Result, Status
from tests.engine.checking.common import FAIL, plugin, yields


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
