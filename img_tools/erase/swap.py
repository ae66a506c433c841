"""Swap in use: switched off, zeroed behind its header, and switched on again."""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator

import psutil

from img_tools.actions import Erase, Erased
from img_tools.erase.device import CHUNK, ZEROS, Unsafe, Watch, in_parallel
from img_tools.model import Undecided
from img_tools.mounts import unescaped
from img_tools.runner import Runner

SPARE = 128 << 20  # bytes of memory that must be left when all that is swapped out is back
SWAPPING = 600.0  # seconds for the kernel to read it all back
_SIGNATURE = b"SWAPSPACE2"
_PAGES = (4096, 8192, 16384, 32768, 65536)


def erase(action: Erase, run: Runner, watch: Watch, started: float) -> Erased:
    """Zero the area of ACTION; its UUID and label stay. Raises Unsafe, Undecided, Interrupted."""
    used, priority = _in_use(action.place)
    spare = psutil.virtual_memory().available - used
    if spare < SPARE:
        raise Unsafe(f"it holds {used >> 20} MB, for which there is too little memory: "
                     "stop what needs it, or erase it before the image is used")
    run("swapoff", action.place, timeout=SWAPPING)
    try:
        written, size = _zero(action.place, watch)
    finally:
        back = ("-p", priority) if not priority.startswith("-") else ()
        with _told(f"swapon {action.place} failed: it is off until the next boot"):
            run("swapon", *back, action.place)
    return Erased(method="swap", free=size, scanned=size, written=written, left=0,
                  seconds=time.monotonic() - started)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except Undecided as undecided:
        raise Undecided(f"{what} ({undecided})") from None


def _in_use(path: str) -> tuple[int, str]:
    """Bytes that the area PATH holds, and its priority."""
    with open("/proc/swaps", "rb") as file:
        for line in file.read().splitlines()[1:]:
            name, _, _, used, priority = line.split()[:5]
            if unescaped(name) == path:
                return int(used) * 1024, priority.decode()
    raise Unsafe("it is not in use any more")


def _zero(path: str, watch: Watch) -> tuple[int, int]:
    """Write zeros behind the header of PATH; bytes written, and looked at.

    A file is written whole: the kernel swaps to its blocks directly, so that one made by
    fallocate(1) still reads as zeros, being "unwritten", whatever lies in them.
    """
    # O_EXCL on a device: nobody has it mounted, swaps on it or builds a volume of it.
    device = stat.S_ISBLK(os.stat(path).st_mode)
    alone = os.O_EXCL if device else os.O_NOFOLLOW
    fd = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC | alone)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        if not device:  # nothing is swapped to a part of a page, nor written past the cache
            size -= size % _PAGES[0]
        header = _header(fd)
        watch.begin("writing", size - header)
        total = 0

        def worker() -> Callable[[int], None]:
            buffer = memoryview(mmap.mmap(-1, CHUNK))
            zeros = memoryview(mmap.mmap(-1, CHUNK))

            def deal(place: int) -> None:
                nonlocal total
                view = buffer[:min(CHUNK, size - place)]
                if device and os.preadv(fd, [view], place) != len(view):
                    raise Unsafe(f"{path} cannot be read at {place}")
                if not (device and ZEROS.startswith(view)):
                    done = 0
                    while done < len(view):
                        done += os.pwritev(fd, [zeros[done:len(view)]], place + done)
                    total += len(view)
                watch.add(len(view))

            return deal

        in_parallel(worker, iter(range(header, size, CHUNK)), watch)
        os.fsync(fd)
        return total, size - header
    finally:
        os.close(fd)


def _header(fd: int) -> int:
    """Bytes of the first page, which ends in the signature of mkswap(8). Raises Unsafe."""
    with mmap.mmap(-1, _PAGES[-1]) as page:
        os.preadv(fd, [page], 0)
        for size in _PAGES:
            if page[size - len(_SIGNATURE):size] == _SIGNATURE:
                return size
    raise Unsafe("it has no signature of swap")

