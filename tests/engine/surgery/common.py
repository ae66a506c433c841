"""What must stay as it is."""

from __future__ import annotations

import os
from pathlib import Path

CANARY = "do not touch\n"


def untouched(outside: Path) -> bool:
    return ((outside / "canary").read_text() == CANARY
            and (outside / "sub/deep").read_text() == CANARY)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
