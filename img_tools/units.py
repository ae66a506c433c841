"""Whether a service starts at boot, told from files alone, so that it holds for any root.

`systemctl --root is-enabled` answers the same question, but is a program of the image, and is
missing on images without systemd.
"""

from __future__ import annotations

import re
from enum import StrEnum

from img_tools.rootfs import RootFS

# In the order of systemd.unit(5): what is found first hides the rest.
UNIT_DIRS = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


# What pulls a unit in without an ordinary boot.
NOT_AT_BOOT = frozenset(
    f"{name}.target" for name in ("rescue", "emergency", "shutdown", "reboot", "poweroff", "halt",
                                  "kexec", "suspend", "hibernate", "sleep"))


# What decides whether a service does anything at all, and what.
_DECIDES = re.compile(r"^[ \t]*(ExecStart|Condition\w+|Assert\w+)[ \t]*=", re.M)


class UnitState(StrEnum):
    """Like `systemctl is-enabled`, with everything that starts nothing by itself as DISABLED."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    MASKED = "masked"
    ABSENT = "absent"


INITS = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")


class Units:
    """The units of the image at ROOT, of systemd and, where there is none, of System V init.

    CentOS 6 boots with upstart, whose jobs start the scripts of System V init.
    """

    def __init__(self, root: RootFS) -> None:
        self._root = root

    @property
    def sysv(self) -> bool:
        """True when the image has no systemd, but run levels, as CentOS 6."""
        return self._runlevel is not None

    @property
    def _runlevel(self) -> str | None:
        """The one that inittab(5) says to boot into; upstart reads nothing else there."""
        if any(self._root.is_file(path) for path in INITS):
            return None
        text = "\n".join(self._root.read_lines("/etc/inittab"))
        found = re.search(r"^\w+:([2-5]):initdefault:", text, re.M)
        return found and found[1]

    def file(self, unit: str) -> str | None:
        """Path of the unit file in force, or None."""
        for directory in UNIT_DIRS:
            path = f"{directory}/{unit}"
            if self._root.stat(path) is not None:
                return path
        return None

    def state(self, unit: str) -> UnitState:
        """Whether UNIT ("ssh.service") is started at boot."""
        path = self.file(unit)
        if path is None:
            return self._sysv(unit.removesuffix(".service"))
        if self._masked(path):
            return UnitState.MASKED
        return UnitState.ENABLED if self._wanted(unit) else UnitState.DISABLED

    def override(self, unit: str) -> str | None:
        """Path of a drop-in that decides anew what UNIT does, or whether (systemd.unit(5))."""
        for directory in UNIT_DIRS:
            for entry in self._root.glob(f"{directory}/{unit}.d/*.conf"):
                if self._root.is_file(entry.path) and _DECIDES.search(
                        self._root.read_text(entry.path)):
                    return entry.path
        return None

    def starts(self, *units: str) -> bool:
        """True when at least one of UNITS is started at boot."""
        return any(self.state(unit) is UnitState.ENABLED for unit in units)

    def enable(self, unit: str) -> str:
        """The command that has UNIT started at boot; without systemd, that of System V init."""
        name = unit.removesuffix(".service")
        if self.file(unit) is None and self._root.exists(f"/etc/init.d/{name}"):
            el = self._root.exists("/sbin/chkconfig") or self._root.exists("/usr/sbin/chkconfig")
            return f"chkconfig {name} on" if el else f"update-rc.d {name} enable"
        unmask = f"systemctl unmask {unit} && " if self.state(unit) is UnitState.MASKED else ""
        return f"{unmask}systemctl enable {unit}"

    def _masked(self, path: str) -> bool:
        if self._root.readlink(path) == "/dev/null":
            return True
        entry = self._root.stat(path, follow=True)
        return entry is not None and entry.is_file and entry.size == 0

    def _wanted(self, unit: str) -> bool:
        for directory in UNIT_DIRS:
            for name in self._root.listdir(directory):
                target, _, kind = name.rpartition(".")
                if kind in ("wants", "requires") and target not in NOT_AT_BOOT and self._root.stat(
                    f"{directory}/{name}/{unit}"
                ):
                    return True
        return False

    def _sysv(self, name: str) -> UnitState:
        if not self._root.exists(f"/etc/init.d/{name}"):
            return UnitState.ABSENT
        start = re.compile(rf"S\d\d{re.escape(name)}$")
        # Without an inittab: all of those that systemd's generator takes.
        for level in (self._runlevel, "S") if self.sysv else ("2", "3", "5", "S"):
            for base in ("/etc", "/etc/rc.d"):
                if any(start.match(link) for link in self._root.listdir(f"{base}/rc{level}.d")):
                    return UnitState.ENABLED
        return UnitState.DISABLED
