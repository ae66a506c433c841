"""Which files running processes use, as far as /proc tells."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator

import psutil

from img_tools.model import Undecided


def paths(top: str) -> frozenset[str]:
    """Paths below TOP, without it, that processes have open, run, work in or got as arguments.

    This program is one of them; the files it is made of count too. Processes of others' namespaces
    may add a name too many, which then stays. Raises Undecided without /proc.
    """
    own = globals().get("__file__", sys.executable)  # frozen: no file
    found = {os.path.realpath(path) for path in (own, sys.prefix, *sys.path)}
    processes = _processes()
    if not processes:
        raise Undecided("without /proc it cannot be told which files are in use: "
                        "mount -t proc proc /proc")
    for process in processes:
        links = [f"/proc/{process.pid}/{name}" for name in ("cwd", "exe", "root")]
        links += _descriptors(process.pid)
        with contextlib.suppress(OSError, psutil.Error):  # it has ended
            found.update(word for word in process.cmdline() if word.startswith("/"))
        for link in links:
            try:
                found.add(os.readlink(link))
            except OSError:
                continue
    with contextlib.suppress(OSError, psutil.Error):
        found.update(str(item.laddr) for item in psutil.net_connections("unix")
                     if isinstance(item.laddr, str))
    base = top.rstrip("/") + "/"
    return frozenset("/" + path.removeprefix(base) for path in found if path.startswith(base))


def deleted(device: int) -> Iterator[tuple[str, int]]:
    """("nginx (812)", bytes) for each file without a name on DEVICE (st_dev) that others have open.

    Its blocks are not free as long as that is so. What /proc does not tell is left out.
    """
    seen = set()
    for process in _processes():
        for link in _descriptors(process.pid):
            with contextlib.suppress(OSError, psutil.Error):
                if not os.readlink(link).endswith(" (deleted)"):  # asking a dead server would hang
                    continue
                found = os.stat(link)
                if (found.st_dev == device and stat.S_ISREG(found.st_mode) and found.st_blocks
                        and not found.st_nlink and found.st_ino not in seen
                        and process.pid != os.getpid()):
                    seen.add(found.st_ino)
                    yield f"{process.name()} ({process.pid})", found.st_blocks * 512


def _processes() -> list[psutil.Process]:
    try:
        return list(psutil.process_iter())
    except (OSError, IndexError):  # no /proc, or a directory of that name with nothing in it
        return []


def _descriptors(pid: int) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(f"/proc/{pid}/fd")]
    except OSError:
        return []  # it has ended
