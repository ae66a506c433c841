"""How far erasing is: on a terminal one line that moves, elsewhere a line each tenth or minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from img_tools.cli import main as shared

MB = 1_000_000
OFTEN = 0.2  # seconds between two states of the line
SILENCE = 60.0  # seconds after which there is a line anyway


class Gauge:
    """Tells on standard error of what is done in bytes, lines with SAY."""

    def __init__(self, say: Callable[[str], None], *, quiet: bool) -> None:
        self._say = say
        self._moving = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._stage: tuple[str, str] | None = None
        self._start = self._last = 0.0
        self._tenth = 0
        self._width = 0

    def __call__(self, path: str, stage: str, done: int, total: int) -> None:
        """DONE bytes of TOTAL of STAGE are done in the file system at PATH."""
        now = time.monotonic()
        if (path, stage) != self._stage:
            self._stage, self._start, self._tenth = (path, stage), now, 0
            self._last = now - OFTEN
        if self._moving and (now - self._last >= OFTEN or done >= total):
            self._last = now
            line = f"img-clean: {self._text(now, done, total)}"
            shared.say(f"\r{line:{self._width}}", newline=False)
            self._width = len(line)
        elif not self._moving and total and (
                done * 10 // total > self._tenth or now - self._last >= SILENCE):
            self._last, self._tenth = now, done * 10 // total
            self._say(self._text(now, done, total))

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            shared.say("\r" + " " * self._width + "\r", newline=False)
            self._width = 0

    def _text(self, now: float, done: int, total: int) -> str:
        path, stage = self._stage or ("", "")
        if stage == "inodes":
            return f"{path}: {stage}, {done} of {total}"
        rate = done / max(now - self._start, 0.001)
        left = (total - done) / rate if rate else 0.0
        return (f"{path}: {stage}, {100 * done // max(total, 1)} % of {total // MB} MB, "
                f"{rate / MB:.0f} MB/s, {left:.0f} s left")
