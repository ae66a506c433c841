"""Plans and carries out cleaning. apply() is the only code of img-tools that changes an image."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from img_tools import session
from img_tools.actions import (
    Action,
    Cleaned,
    CleanReport,
    CleanStatus,
    Direct,
    Empty,
    Erase,
    Outcome,
    Remove,
    RemoveFiles,
    Run,
    Single,
    Step,
    Tally,
    Truncate,
    Write,
)
from img_tools.erase import engine
from img_tools.host import Host
from img_tools.model import Run as RunInfo
from img_tools.model import Skip, Undecided, printable
from img_tools.plugins import Plugin
from img_tools.surgery import Surgeon

Progress = Callable[[Plugin], None]
Stop = Callable[[], int | None]
Gauge = Callable[[str, str, int, int], None]

# Blocks, 64 MB: what other programs may write and delete meanwhile. More was not erased.
MOST_LEFT = 16384
STOPPED = (CleanStatus.STOPPED, "stopped before its end")


def _never() -> None:
    return None


def _silent(path: str, stage: str, done: int, total: int) -> None:
    return None


def report(
    host: Host,
    plugins: Sequence[Plugin],
    *,
    dry_run: bool,
    stop: Stop = _never,
    progress: Progress = lambda plugin: None,
    gauge: Gauge = _silent,
) -> CleanReport:
    """Run PLUGINS over HOST in order and report.

    Each is planned when its turn comes, since earlier ones change what it finds. With DRY_RUN all
    is planned and nothing done; what two of them would do to a path is counted once, since the
    first has done it when the second one's turn comes. STOP is asked before each action for the
    number of the signal that came, if any: the action under way is finished, but for erasing, and
    the rest left out. PROGRESS hears of each plugin as it begins, and GAUGE how far erasing is:
    path, stage, bytes done, total.
    """
    started, start = datetime.now(UTC), time.monotonic()
    notes = _notes(host, plugins)
    results: list[Cleaned] = []
    planned: set[int] | None = set() if dry_run else None
    with Surgeon(host.root) as surgeon:
        for plugin in plugins:
            if stop() is not None:
                results.append(_left_out(plugin))
                continue
            progress(plugin)
            host.forget()
            results.append(_clean(host, surgeon, plugin, planned, stop, gauge))
            surgeon.forget()
    return CleanReport(
        run=RunInfo(
            id=str(uuid.uuid4()), started_at=started.isoformat(timespec="seconds"),
            duration=time.monotonic() - start, mode="live" if host.live else "rootfs",
            root=printable(host.root.top), profile=host.profile.name, policy=host.policy.path,
        ),
        dry_run=dry_run, stopped_by=stop(), results=tuple(results), notes=notes,
    )


def _notes(host: Host, plugins: Sequence[Plugin]) -> tuple[str, ...]:
    try:
        return tuple(session.notes(host, plugins))
    except (Undecided, OSError) as error:  # OSError: gone since; the cleaning must not end here
        return (f"it cannot be told who can still log in: {printable(str(error))}",)


def _left_out(plugin: Plugin) -> Cleaned:
    return Cleaned(id=plugin.id, title=plugin.title, status=CleanStatus.STOPPED,
                   message="its turn did not come", steps=(), counts={}, size=0, duration=0.0)


def _clean(
    host: Host, surgeon: Surgeon, plugin: Plugin, planned: set[int] | None, stop: Stop, gauge: Gauge
) -> Cleaned:
    """Run PLUGIN; with PLANNED, which are hashes of actions, only plan it, and add to them."""
    start, tally = time.monotonic(), Tally()
    try:
        if planned is None:
            status, message = _carry_out(host, surgeon, plugin, stop, gauge, tally)
        else:
            status, message = _plan(host, plugin, stop, planned, tally)
    except Skip as skip:
        status, message = CleanStatus.SKIP, printable(str(skip))
    except Undecided as undecided:
        status, message = CleanStatus.FAILED, printable(str(undecided))
    except (Exception, SystemExit) as error:  # a defect of the cleaner: recorded, others go on
        status = CleanStatus.FAILED
        message = printable(f"the cleaner itself failed: {type(error).__name__}: {error}")
    if tally.outcomes[Outcome.FAILED]:
        status = CleanStatus.FAILED
    return Cleaned(
        id=plugin.id, title=plugin.title, status=status, message=message,
        steps=tuple(tally.steps), counts=dict(tally.outcomes), size=tally.size,
        duration=time.monotonic() - start,
    )


def _carry_out(
    host: Host, surgeon: Surgeon, plugin: Plugin, stop: Stop, gauge: Gauge, tally: Tally
) -> tuple[CleanStatus, str]:
    for action in _actions(host, plugin):
        if stop() is not None:
            return STOPPED
        if isinstance(action, RemoveFiles):
            _remove_files(host, surgeon, action, tally)
        else:
            tally.add(apply(host, surgeon, action, stop, gauge))
    return CleanStatus.DONE, ""


def _plan(
    host: Host, plugin: Plugin, stop: Stop, planned: set[int], tally: Tally
) -> tuple[CleanStatus, str]:
    """Plan what no cleaner before this one has PLANNED, and say how much it repeats of that."""
    own, repeated = set[int](), 0
    for action in _actions(host, plugin):
        if stop() is not None:
            return STOPPED
        number = len(action.names) if isinstance(action, RemoveFiles) else 1
        key = hash(repr(action))  # the action itself may be large, and there may be many
        if key in planned and not isinstance(action, Run):
            repeated += number
            continue
        own.add(key)
        if isinstance(action, RemoveFiles):
            tally.add_files(action, Outcome.PLANNED)
        else:
            tally.add(Step(action, Outcome.PLANNED))
    planned |= own
    return CleanStatus.PLANNED, (
        f"{repeated} of the actions above once more, where it is needed then" if repeated else "")


def _actions(host: Host, plugin: Plugin) -> Iterator[Action]:
    """What PLUGIN asks for. Raises TypeError for what is no action, or could not be shown."""
    for action in plugin.verb(host):
        if not isinstance(action, Action):
            raise TypeError(f"it asked for a {type(action).__name__}, which is no action")
        _demand_texts(action)
        yield action


def _demand_texts(action: Action) -> None:
    """Raise TypeError for what no report could show, before anything is done."""
    match action:
        case RemoveFiles(directory, names, why):
            texts = (directory, why, *names)
        case Run(argv, why):
            texts = (*argv, why)
        case Erase(path=path, place=place, mount=mount, kind=kind, mode=mode, why=why):
            texts = (path, place, mount, kind, mode, why)
        case _:
            texts = (action.path, action.why)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"it asked for a {type(action).__name__} whose path, command or reason is "
                        "no text")


def _remove_files(host: Host, surgeon: Surgeon, files: RemoveFiles, tally: Tally) -> None:
    """Carry out FILES; those that do not simply go are tried again one by one, and say why."""
    rest = surgeon.unlink(files.directory, files.names)
    gone = files if not rest else replace(
        files, names=tuple(name for name in files.names if name not in rest))
    tally.add_files(gone, Outcome.DONE)
    for action in files.each() if rest else ():
        if os.path.basename(action.path) in rest:
            tally.add(apply(host, surgeon, action))


def _erase(host: Host, action: Erase, stop: Stop, gauge: Gauge) -> Step:
    """Carry out ACTION. It may take long, so a signal ends it at once; all it held is free then."""
    watch = engine.Watch(
        stop=lambda: stop() is not None,
        tell=lambda stage, done, total: gauge(action.path, stage, done, total))
    try:
        erased = engine.erase(action, host.run, watch)
    except engine.Interrupted:
        return Step(action, Outcome.STOPPED, error="stopped; what it held is free again")
    except OSError as error:
        return Step(action, Outcome.FAILED, error=printable(error.strerror or str(error)))
    except (engine.Unsafe, Undecided) as error:
        return Step(action, Outcome.FAILED, error=printable(str(error)))
    if (erased.left or 0) > MOST_LEFT:
        return Step(action, Outcome.FAILED, erased=erased,
                    error=f"{erased.left} blocks that are free are still not zero")
    return Step(action, Outcome.DONE, erased=erased)


def apply(
    host: Host, surgeon: Surgeon, action: Single, stop: Stop = _never, gauge: Gauge = _silent
) -> Step:
    """Carry out ACTION. An error becomes the step's outcome; a missing path is as good as done.

    STOP and GAUGE as in report().
    """
    if isinstance(action, Erase):
        return _erase(host, action, stop, gauge)
    try:
        size = _perform(host, surgeon, action)
    except FileNotFoundError:
        return Step(action, Outcome.ABSENT)
    except OSError as error:
        return Step(action, Outcome.FAILED, error=printable(error.strerror or str(error)))
    except (Undecided, ValueError) as error:  # ValueError: a NUL in a name, no bits of a mode
        return Step(action, Outcome.FAILED, error=printable(str(error)))
    return Step(action, Outcome.DONE, size)


def _perform(host: Host, surgeon: Surgeon, action: Direct) -> int | None:
    match action:
        case Remove(path):
            return surgeon.remove(path)
        case Empty(path):
            return surgeon.empty(path)
        case Truncate(path):
            return surgeon.truncate(path)
        case Write(path, content, mode):
            return surgeon.write(path, os.fsencode(content), mode)
        case Run(argv, _, timeout, env):
            surgeon.forget()  # the command may replace what it holds
            host.run(*argv, timeout=timeout, env=dict(env))
            return None
