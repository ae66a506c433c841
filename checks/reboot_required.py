"""The running system is the one that is installed

Looks for the mark that an upgrade leaves when it needs a reboot (/run/reboot-required) and, on the
running system, for processes that still run deleted programs and libraries.

An image that was never started as it is now may fail to: reboot the build machine and run img-check
once more before the snapshot. In what `--root` mounts only the mark can be seen, where something
was upgraded in a chroot; without it the check does not apply, since /run of a machine goes with it.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

import psutil

from img_tools.host import Host
from img_tools.model import Finding, Undecided, warn

CATEGORY = "packages"
CODES = ("deleted-code", "reboot-required")
REFERENCES = ("build-an-image: install software updates before creating the image",)

MARKS = ("/run/reboot-required", "/var/run/reboot-required")
MAPS_LIMIT = 16 << 20  # bytes of /proc/PID/maps; a busy JVM has 1 MB
# Executable mappings of what packages own; files that a program unlinks itself lie elsewhere.
_STALE = re.compile(r"^\S+ ..x\S* \S+ \S+ \d+ +(/(?:usr|lib\w*|s?bin|opt)/.*) \(deleted\)$", re.M)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for the mark, and one for every program that runs deleted code."""
    mark = next((path for path in MARKS if host.root.exists(path)), None)
    if mark:
        names = sorted({name for name in host.root.read_lines(f"{mark}.pkgs") if name})
        because = f" ({', '.join(names[:10])})" if names else ""
        yield warn("reboot-required", f"an upgrade asks for a reboot{because}: the system as it is "
                   "now was never started", path=mark,
                   fix="start the image once as it is now, then run img-check again")
        if not host.live:
            return
    host.require_live("what runs, and what /run says, is the running system's to tell")
    yield from _stale_processes(host)


def _stale_processes(host: Host) -> Iterator[Finding]:
    pids: dict[str, list[int]] = defaultdict(list)
    files: dict[str, set[str]] = defaultdict(set)
    for process in psutil.process_iter(["name"]):
        try:
            maps = host.root.read_text(f"/proc/{process.pid}/maps", MAPS_LIMIT)
        except (FileNotFoundError, Undecided):  # it has ended, or belongs to the kernel
            continue
        stale = set(_STALE.findall(maps))
        if stale:
            name = process.info["name"] or f"pid {process.pid}"
            pids[name].append(process.pid)
            files[name] |= stale
    for name in sorted(pids):
        some = ", ".join(sorted(files[name])[:3])
        yield warn("deleted-code", f"{name} (pid {pids[name][0]}) still runs files that an upgrade "
                   f"has replaced: {some}", evidence={"processes": len(pids[name])},
                   fix="reboot, or restart its service")
