"""What a cleaner may ask for, and what became of it: values, like those of model.py.

A cleaner never changes anything. It yields these, and cleaning.apply carries them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from itertools import islice

from img_tools.model import Report
from img_tools.model import Run as RunInfo


class Phase(IntEnum):
    """When a cleaner's turn comes (design section 8); within a phase the id decides."""

    QUIET = 10
    UPGRADE = 20
    AGENT = 30
    CACHES = 40
    ACCOUNTS = 50
    TRACES = 60
    TEMP = 70
    LOGS = 80
    CLOUD = 90
    NETWORK = 100
    IDENTITY = 110
    ACCESS = 120
    ERASE = 130  # after the last key went, which would be found in free space
    FINAL = 140


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the file, link or tree at `path`; what a link points to stays."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Remove the files and links called `names` in `directory`: as many Remove, but faster."""

    directory: str
    names: tuple[str, ...]
    why: str

    def each(self) -> Iterator[Remove]:
        """The same, one by one."""
        for name in self.names:
            yield Remove(f"{self.directory.rstrip('/')}/{name}", self.why)


@dataclass(frozen=True, slots=True)
class Empty:
    """Remove everything in the directory `path`, which stays."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Cut the file `path` to nothing in place: inode, owner, mode and labels stay."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Write:
    """Replace `path` by a file with `content` (never a secret) and permission bits `mode`."""

    path: str
    content: str
    mode: int
    why: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run the command `argv` in the image; it may take `timeout` seconds."""

    argv: tuple[str, ...]
    why: str
    timeout: float = 300.0
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase:
    """Write zeros where the file system at `path` is free and not zero, or to the swap area there.

    `place` is where it is mounted on this machine, as the mount with the id `mount`; `kind` is its
    type, `mode` that of --erase, `free` what is free in bytes.
    """

    path: str
    place: str
    mount: str
    kind: str
    mode: str
    free: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of an Erase; sizes are bytes.

    `method` is what was done in the end: sparse (only what was not zero was written), fill (all was
    written), trim, swap. `left` is how many blocks of 4 KiB (or smaller ones of the file system)
    were not zero when all that was free was read once more, None where that cannot be done.
    `nodes` of them are not counted in `left`: they mapped blocks of files and hold no content.
    """

    method: str
    free: int
    trimmed: int = 0
    scanned: int = 0
    written: int = 0
    left: int | None = None
    nodes: int = 0
    journal: str | None = None
    inodes_left: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


Direct = Remove | Empty | Truncate | Write | Run
Single = Direct | Erase
Action = Single | RemoveFiles


class Outcome(StrEnum):
    """What became of an action; a path that is gone already is ABSENT, which is as good."""

    PLANNED = "planned"
    DONE = "done"
    ABSENT = "absent"
    FAILED = "failed"
    STOPPED = "stopped"  # a signal came


@dataclass(frozen=True, slots=True)
class Step:
    """An action and its outcome; `size` is the bytes that went, None where it is not known."""

    action: Single
    outcome: Outcome
    size: int | None = None
    error: str | None = None
    erased: Erased | None = None


class CleanStatus(StrEnum):
    """How a cleaner ended."""

    DONE = "done"
    PLANNED = "planned"
    FAILED = "failed"
    SKIP = "skip"
    STOPPED = "stopped"  # a signal came before its end, or before its turn


SHOWN = 1000  # steps kept of one cleaner besides those that failed; the rest are counted


class Tally:
    """The steps of one cleaner: all counted, the first SHOWN and every failure (to SHOWN) kept.

    `size` is the bytes that went, None when there were too many files to look at each.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.outcomes: Counter[Outcome] = Counter()
        self.size: int | None = 0
        self._failures = 0  # of those kept

    def add(self, step: Step) -> None:
        """Take STEP into account."""
        self.outcomes[step.outcome] += 1
        unknown = step.size is None and isinstance(step.action, Remove | Empty) and (
            step.outcome is Outcome.DONE)
        self.size = None if unknown or self.size is None else self.size + (step.size or 0)
        failed = step.outcome is Outcome.FAILED
        kept = self._failures if failed else len(self.steps) - self._failures
        if kept < SHOWN:
            self._failures += failed
            self.steps.append(step)

    def add_files(self, files: RemoveFiles, outcome: Outcome) -> None:
        """Take into account that all FILES ended in OUTCOME, which is no failure."""
        room = max(0, SHOWN - (len(self.steps) - self._failures))
        self.steps += [Step(action, outcome) for action in islice(files.each(), room)]
        self.outcomes[outcome] += len(files.names)
        if outcome is Outcome.DONE and files.names:
            self.size = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What one cleaner did, or would do. `counts` covers every step, `steps` may be cut short."""

    id: str
    title: str
    status: CleanStatus
    message: str
    steps: tuple[Step, ...]
    counts: dict[Outcome, int]
    size: int | None
    duration: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanReport:
    """Everything `img-clean` has to say.

    `stopped_by` is the signal that ended it early, `check` the report of `--check`.
    """

    run: RunInfo
    dry_run: bool
    results: tuple[Cleaned, ...]
    stopped_by: int | None = None
    notes: tuple[str, ...] = ()
    check: Report | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many cleaners ended in each status, and how many actions there were and failed."""
        statuses = Counter(result.status for result in self.results)
        actions = sum((Counter(result.counts) for result in self.results), Counter[Outcome]())
        return {status.value: statuses[status] for status in CleanStatus} | {
            "actions": actions.total(), "actions_failed": actions[Outcome.FAILED]}

    @property
    def failed(self) -> bool:
        """Whether anything failed, of the cleaning or of the check."""
        return (any(result.status is CleanStatus.FAILED for result in self.results)
                or bool(self.check and self.check.exit_code == 1))

    @property
    def verdict(self) -> str:
        """fail, error (stopped before the end, or the check could not decide) or pass."""
        if self.failed:
            return "fail"
        return "error" if self.exit_code else "pass"

    @property
    def exit_code(self) -> int:
        """128+n stopped by signal n, 1 something failed, 0 all done; then the check's own code."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        if self.failed:
            return 1
        return self.check.exit_code if self.check else 0
