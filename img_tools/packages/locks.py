"""Who holds a lock of the package manager."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from img_tools.rootfs import RootFS


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that changes packages; `name` is None when it is not of our PID namespace."""

    pid: int
    name: str | None

    def __str__(self) -> str:
        return f"{self.name or 'a process'} (pid {self.pid})"


def holder(root: RootFS, paths: Iterable[str]) -> Holder | None:
    """Who holds one of the lock files PATHS. Asks the kernel (F_GETLK), which changes nothing."""
    for path in paths:
        try:
            with root.open(path) as file:
                answer = fcntl.fcntl(file, fcntl.F_GETLK, _FLOCK.pack(
                    fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except FileNotFoundError:
            continue
        except OSError:  # a file system without locks: nobody can hold one
            continue
        kind, _, _, _, pid = _FLOCK.unpack(answer)
        if kind != fcntl.F_UNLCK:
            return Holder(pid, process(pid))
    return None


_FLOCK = struct.Struct("@hhqqi4x")  # struct flock (fcntl(2)) with 64-bit offsets


def process(pid: int) -> str | None:
    """The name of the process PID, None when there is none in our PID namespace."""
    try:
        return psutil.Process(pid).name() if pid > 0 else None
    except psutil.Error:
        return None
