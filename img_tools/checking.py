"""Runs the checks side by side and turns what they say, or fail to say, into results."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from img_tools.host import Host
from img_tools.model import (
    Finding,
    Note,
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

# Seconds that the main thread waits at most. A signal that comes just before it begins to wait, or
# that the kernel gives to another thread, is not seen by Python until it wakes up.
NAP = 0.1
# Seconds after which a check is taken to wait for something, so that the next one may begin beside
# it. Those that only read and judge share one interpreter: four at once took 0.35 s where one after
# the other took 0.28.
BUSY = 0.1

Progress = Callable[[int, int, Sequence[str]], None]
Judge = Callable[[str, Finding], Finding]


def _as_found(check: str, finding: Finding) -> Finding:
    return finding


def report(
    host: Host,
    plugins: Sequence[Plugin],
    *,
    jobs: int,
    timeout: float,
    fail_on_warn: bool = False,
    left_out: Sequence[str] = (),
    progress: Progress = lambda done, total, running: None,
) -> Report:
    """Run PLUGINS over HOST and report; see run() for JOBS, TIMEOUT and PROGRESS.

    LEFT_OUT are the ids of the checks that nobody asked for.
    """
    started, start = datetime.now(UTC), time.monotonic()
    results = run(host, plugins, jobs=jobs, timeout=timeout, progress=progress,
                  judge=lambda check, finding: host.policy.judge(check, finding, host.today))
    complete = {result.id for result in results if not result.incomplete
                and result.status not in (Status.ERROR, Status.SKIP)}
    return Report(
        run=Run(
            id=str(uuid.uuid4()), started_at=started.isoformat(timespec="seconds"),
            duration=time.monotonic() - start, mode="live" if host.live else "rootfs",
            root=printable(host.root.top), profile=host.profile.name, policy=host.policy.path,
            left_out=tuple(left_out),
        ),
        platform=_platform(host, timeout), results=results, fail_on_warn=fail_on_warn,
        waivers=host.policy.account([finding for result in results for finding in result.findings],
                                    complete, host.today),
    )


def _platform(host: Host, timeout: float) -> Platform:
    """What is known of the image, after TIMEOUT seconds at most: os-release may be what hangs."""
    kernel = os.uname() if host.live else None
    facts: dict[str, str | None] = {}
    asking = threading.Thread(target=_ask, args=(host, facts), daemon=True)
    asking.start()
    deadline = time.monotonic() + timeout
    while asking.is_alive() and time.monotonic() < deadline:
        asking.join(min(NAP, timeout))
    return Platform(
        os_id=facts.get("os_id"), version_id=facts.get("version_id"),
        pretty_name=facts.get("pretty_name"), package_manager=facts.get("package_manager"),
        kernel=kernel and kernel.release, arch=kernel and kernel.machine,
        index_time=host.index_time,
    )


def _ask(host: Host, facts: dict[str, str | None]) -> None:
    with contextlib.suppress(Exception):  # the checks that need it say what is wrong with it
        system = host.os_release
        facts["os_id"] = printable(system.id)
        facts["version_id"] = system.version_id and printable(system.version_id)
        facts["pretty_name"] = printable(system.pretty_name)
        facts["package_manager"] = host.packages.name


def run(
    host: Host,
    plugins: Sequence[Plugin],
    *,
    jobs: int,
    timeout: float,
    progress: Progress = lambda done, total, running: None,
    judge: Judge = _as_found,
) -> tuple[Result, ...]:
    """The result of every plugin, in the order given.

    At most JOBS run at once: early ones first and side by side, then the others one by one, but for
    those that wait for something. One that takes longer than TIMEOUT seconds is an error; its
    thread is left behind (it may be stuck in the kernel) and replaced. PROGRESS is called every NAP
    seconds or sooner with how many results there are and will be, and which checks run. JUDGE is
    given each finding and has the last word on what it is.
    """
    board = _Board(host, sorted(plugins, key=lambda plugin: not plugin.early), jobs, judge)
    results: dict[str, Result] = {}
    while len(results) < len(plugins):
        board.staff()
        try:
            result = board.done.get(timeout=board.patience(timeout))
        except queue.Empty:
            result = None
        for ended in [result] if result else board.overdue(timeout):
            results.setdefault(ended.id, ended)
        progress(len(results), len(plugins), board.running)
    return tuple(results[plugin.id] for plugin in plugins)


class _Board:
    """What waits, what runs since when, and what is done; JOBS is how many may run."""

    def __init__(
        self, host: Host, plugins: Sequence[Plugin], jobs: int, judge: Judge
    ) -> None:
        self._host = host
        self._judge = judge
        self._jobs = jobs
        self._waiting = deque(plugins)
        self._running: dict[Plugin, float] = {}
        self._lock = threading.Lock()
        self.done: queue.SimpleQueue[Result] = queue.SimpleQueue()

    @property
    def running(self) -> list[str]:
        """The ids of the checks that run, the one that has run longest first."""
        with self._lock:
            return [plugin.id for plugin in self._running]

    def staff(self) -> None:
        """Start a worker for everything that may begin now.

        Daemons, so that a stuck one does not keep the process alive.
        """
        while plugin := self._take():
            threading.Thread(target=self._work, args=(plugin,), daemon=True).start()

    def _take(self) -> Plugin | None:
        """The next one to run, None when none is left or it had better wait."""
        now = time.monotonic()
        with self._lock:
            if not self._waiting or len(self._running) >= self._jobs:
                return None
            if not self._waiting[0].early and any(
                    not plugin.early and now - start < BUSY
                    for plugin, start in self._running.items()):
                return None
            plugin = self._waiting.popleft()
            self._running[plugin] = now
            return plugin

    def _work(self, first: Plugin) -> None:
        plugin: Plugin | None = first
        while plugin:
            try:
                result = evaluate(self._host, plugin, self._judge)
            except BaseException as error:  # or nobody would hear of it before the timeout
                result = _result(plugin, Status.ERROR, 0.0, _defect(error))
            with self._lock:
                given_up = self._running.pop(plugin, None) is None
            if given_up:  # another one has taken its place
                return
            self.done.put(result)
            plugin = self._take()

    def patience(self, timeout: float) -> float:
        """Seconds to wait before the next look at who is overdue."""
        now = time.monotonic()
        with self._lock:
            next_end = min((start + timeout - now for start in self._running.values()), default=NAP)
        return max(0.01, min(next_end, NAP))

    def overdue(self, timeout: float) -> list[Result]:
        """An error for each check that runs too long; staff() starts others in its place."""
        now = time.monotonic()
        with self._lock:
            late = [plugin for plugin, start in self._running.items() if now - start >= timeout]
            for plugin in late:
                del self._running[plugin]
        return [_result(plugin, Status.ERROR, timeout,
                        f"took longer than {timeout:g} s (--timeout)") for plugin in late]


def _placed(host: Host, finding: Finding) -> Finding:
    """FINDING whose remedy says so when it is for a shell inside the image.

    Typed where the image is only mounted, `userdel` would hit the machine that builds it; the
    parentheses have a shell refuse the line as it stands. `img-clean` has its own --root.
    """
    fix = finding.remediation
    if not fix or fix.startswith("img-clean ") or host.live:
        return finding
    return replace(finding, remediation=f"(inside {host.root.top}) {fix}")


def evaluate(host: Host, plugin: Plugin, judge: Judge = _as_found) -> Result:
    """Run one check. Whatever goes wrong is an `error`, never a `pass` (row B2).

    A FAIL found before a check broke off stays a FAIL: it is certain.
    """
    start = time.monotonic()
    findings: list[Finding] = []
    notes: list[str] = []
    broken: str | None = None
    try:
        for said in plugin.verb(host):
            if isinstance(said, Note):
                notes.append(printable(said.text))
            elif isinstance(said, Finding):
                findings.append(judge(plugin.id, _placed(host, said).sanitised()))
            else:
                raise TypeError(f"yielded {type(said).__name__}, not a Finding")
    except Skip as skip:
        if not findings:
            return _result(plugin, Status.SKIP, time.monotonic() - start, _reason(skip))
    except Undecided as undecided:
        broken = _reason(undecided)
    except (Exception, SystemExit) as error:  # a defect of the check, which must not pass the image
        broken = _defect(error)
    findings.sort(key=lambda finding: (finding.waived is not None,
                                       finding.status != Status.FAIL, finding.path or ""))
    status = max((finding.status for finding in findings if not finding.waived), key=_rank,
                 default=Status.PASS)
    if broken is not None and status is not Status.FAIL:
        status = Status.ERROR
    message = "; ".join(part for part in (broken or summary(findings), *notes) if part)
    return _result(plugin, status, time.monotonic() - start, message, findings, notes,
                   incomplete=broken is not None and status is Status.FAIL)


def _reason(raised: Skip | Undecided) -> str:
    return printable(str(raised)) or "no reason was given"


def _defect(error: BaseException) -> str:
    """One line for whoever mends the check: what went wrong and where."""
    # The packaged program has no lines but those of our modules and of plugins.
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.lineno]
    place = "".join(f" ({'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno})"
                    for frame in lines[-1:])
    return printable(f"the check itself failed: {type(error).__name__}: {error}{place}")


def summary(findings: Sequence[Finding]) -> str:
    """One line for all FINDINGS, waived ones last; empty for none."""
    waived = sum(finding.waived is not None for finding in findings)
    if len(findings) == 1 and not waived:
        return findings[0].message
    count = f"{len(findings)} finding{'s' * (len(findings) != 1)}" if findings else ""
    return f"{count}, {waived} waived" if waived else count


def _rank(status: Status) -> int:
    return (Status.PASS, Status.WARN, Status.FAIL).index(status)


def _result(
    plugin: Plugin, status: Status, duration: float, message: str,
    findings: Sequence[Finding] = (), notes: Sequence[str] = (), *, incomplete: bool = False,
) -> Result:
    return Result(
        id=plugin.id, title=plugin.title, category=plugin.category, status=status,
        message=message, duration=duration, references=plugin.references,
        findings=tuple(findings), incomplete=incomplete, notes=tuple(notes),
    )
