"""Which files running processes use, as far as /proc tells."""

from __future__ import annotations

import contextlib
import os
import sys

import psutil

from img_tools.model import Undecided


def paths(top: str) -> frozenset[str]:
    """Paths below TOP, without it, that processes have open, run, work in or got as arguments.

    This program is one of them; the files it is made of count too. Processes of others' namespaces
    may add a name too many, which then stays. Raises Undecided without /proc.
    """
    own = globals().get("__file__", sys.executable)  # frozen: no file
    found = {os.path.realpath(path) for path in (own, sys.prefix, *sys.path)}
    try:
        processes = list(psutil.process_iter())
    except (OSError, IndexError):  # no /proc, or a directory of that name with nothing in it
        raise Undecided("without /proc it cannot be told which files are in use: "
                        "mount -t proc proc /proc") from None
    for process in processes:
        links = [f"/proc/{process.pid}/{name}" for name in ("cwd", "exe", "root")]
        try:
            links += [entry.path for entry in os.scandir(f"/proc/{process.pid}/fd")]
            found.update(word for word in process.cmdline() if word.startswith("/"))
        except (OSError, psutil.Error):
            pass  # it has ended
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
