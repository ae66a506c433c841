"""Runs the checks side by side and turns what they say, or fail to say, into results."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from img_tools.host import Host
from img_tools.model import (
    Finding,
    Platform,
    Report,
    Result,
    Run,
    Skip,
    Status,
    Undecided,
    printable,
)
from img_tools.plugins import Plugin

Progress = Callable[[Result, int, int], None]


def report(
    host: Host,
    plugins: Sequence[Plugin],
    *,
    jobs: int,
    timeout: float,
    fail_on_warn: bool = False,
    progress: Progress = lambda result, done, total: None,
) -> Report:
    """Run PLUGINS over HOST and report; see run() for JOBS, TIMEOUT and PROGRESS."""
    started, start = datetime.now(UTC), time.monotonic()
    results = run(host, plugins, jobs=jobs, timeout=timeout, progress=progress)
    return Report(
        run=Run(
            id=str(uuid.uuid4()), started_at=started.isoformat(timespec="seconds"),
            duration=time.monotonic() - start, mode="live" if host.live else "rootfs",
            root=printable(host.root.top), profile=host.profile.name,
        ),
        platform=_platform(host), results=results, fail_on_warn=fail_on_warn,
    )


def _platform(host: Host) -> Platform:
    kernel = os.uname() if host.live else None
    try:
        system = host.os_release
    except Undecided:
        system = None
    try:
        manager = host.packages.name if system else None
    except Undecided:
        manager = None
    return Platform(
        os_id=printable(system.id) if system else None,
        version_id=printable(system.version_id) if system and system.version_id else None,
        pretty_name=printable(system.pretty_name) if system else None,
        kernel=kernel and kernel.release, arch=kernel and kernel.machine,
        package_manager=manager, index_time=host.index_time,
    )


def run(
    host: Host,
    plugins: Sequence[Plugin],
    *,
    jobs: int,
    timeout: float,
    progress: Progress = lambda result, done, total: None,
) -> tuple[Result, ...]:
    """The result of every plugin, in the order given.

    At most JOBS run at once, early ones first. One that takes longer than TIMEOUT seconds is an
    error; its thread is left behind (it may be stuck in the kernel) and replaced. PROGRESS is
    called with each result as it comes, how many there are and how many there will be.
    """
    board = _Board(host, sorted(plugins, key=lambda plugin: not plugin.early))
    for _ in range(min(jobs, len(plugins))):
        board.hire()
    results: dict[str, Result] = {}
    while len(results) < len(plugins):
        try:
            result = board.done.get(timeout=board.patience(timeout))
        except queue.Empty:
            result = None
        for ended in [result] if result else board.overdue(timeout):
            if ended.id not in results:
                results[ended.id] = ended
                progress(ended, len(results), len(plugins))
    return tuple(results[plugin.id] for plugin in plugins)


class _Board:
    """What waits, what runs since when, and what is done."""

    def __init__(self, host: Host, plugins: Sequence[Plugin]) -> None:
        self._host = host
        self._waiting: queue.SimpleQueue[Plugin] = queue.SimpleQueue()
        for plugin in plugins:
            self._waiting.put(plugin)
        self._running: dict[Plugin, float] = {}
        self.done: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def hire(self) -> None:
        """Start one more worker; a daemon, so that a stuck one does not keep the process alive."""
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                plugin = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._running[plugin] = time.monotonic()
            result = evaluate(self._host, plugin)
            if self._running.pop(plugin, None) is None:
                return  # given up on meanwhile, and replaced
            self.done.put(result)

    def patience(self, timeout: float) -> float:
        """Seconds until the next check is overdue."""
        now = time.monotonic()
        return max(0.01, min((start + timeout - now for start in [*self._running.values()]),
                             default=0.1))

    def overdue(self, timeout: float) -> list[Result]:
        """An error for each check that runs too long; its worker is replaced."""
        now = time.monotonic()
        late = [plugin for plugin, start in [*self._running.items()] if now - start >= timeout]
        results = []
        for plugin in late:
            if self._running.pop(plugin, None) is not None:
                results.append(_result(plugin, Status.ERROR, timeout,
                                       f"took longer than {timeout:g} s (--timeout)"))
                self.hire()
        return results


def evaluate(host: Host, plugin: Plugin) -> Result:
    """Run one check. Whatever goes wrong is an `error`, never a `pass` (row B2).

    A FAIL found before a check broke off stays a FAIL: it is certain.
    """
    start = time.monotonic()
    findings: list[Finding] = []
    broken: str | None = None
    try:
        for finding in plugin.verb(host):
            if not isinstance(finding, Finding):
                raise TypeError(f"yielded {type(finding).__name__}, not a Finding")
            findings.append(finding.sanitised())
    except Skip as skip:
        if not findings:
            return _result(plugin, Status.SKIP, time.monotonic() - start, printable(str(skip)))
    except Undecided as undecided:
        broken = str(undecided)
    except Exception as error:  # a defect of the check, which must not pass the image
        broken = f"the check itself failed: {type(error).__name__}: {error}"
    findings.sort(key=lambda finding: (finding.status != Status.FAIL, finding.path or ""))
    status = max((finding.status for finding in findings), key=_rank, default=Status.PASS)
    if broken is not None and status is not Status.FAIL:
        status = Status.ERROR
    message = printable(broken) if broken else summary(findings)
    return _result(plugin, status, time.monotonic() - start, message, findings)


def summary(findings: Sequence[Finding]) -> str:
    """One line for all FINDINGS; empty for none."""
    if len(findings) == 1:
        return findings[0].message
    return f"{len(findings)} findings" if findings else ""


def _rank(status: Status) -> int:
    return (Status.PASS, Status.WARN, Status.FAIL).index(status)


def _result(
    plugin: Plugin, status: Status, duration: float, message: str,
    findings: Sequence[Finding] = (),
) -> Result:
    return Result(
        id=plugin.id, title=plugin.title, category=plugin.category, status=status,
        message=message, duration=duration, references=plugin.references,
        findings=tuple(findings),
    )
