"""Which services run on the running system: what systemd says, or the scripts of System V init."""

from __future__ import annotations

import contextlib
import re

import psutil

from img_tools.rootfs import RootFS
from img_tools.runner import CommandMissing, Runner


class Services:
    """The services of the system at ROOT; none runs unless it is LIVE."""

    def __init__(self, root: RootFS, run: Runner, *, live: bool) -> None:
        self._root = root
        self._run = run
        self._live = live

    @property
    def systemd_version(self) -> int:
        """The number of the running systemd, since older ones lack options; 0 without."""
        if not self._systemd:
            return 0
        found = re.match(r"systemd (\d{1,5})", self._run("systemctl", "--version").stdout)
        return int(found[1]) if found else 0

    @property
    def journal_on_disk(self) -> bool:
        """True while the running journald writes below /var/log/journal."""
        pid = self._property("systemd-journald.service", "MainPID")
        with contextlib.suppress(psutil.Error):
            return pid not in ("", "0") and any(
                file.path.startswith("/var/log/journal/")
                for file in psutil.Process(int(pid)).open_files())
        return False

    def active(self, unit: str) -> bool:
        """True when UNIT runs just now; without systemd, as the script of that name says.

        A oneshot service, such as apt-daily, is "activating" for as long as it works.
        """
        script = unit.removesuffix(".service")
        if self._live and not self._systemd and self._root.is_file(f"/etc/init.d/{script}"):
            with contextlib.suppress(CommandMissing):  # a container, where nothing is started
                return self._run("service", script, "status", ok=range(256)).code == 0
            return False
        return self._property(unit, "ActiveState") in ("active", "reloading", "activating")

    def stopping(self, *units: str) -> list[tuple[str, ...]]:
        """The commands that stop the running UNITS."""
        if self._systemd:
            return [("systemctl", "stop", *units)] if units else []
        return [("service", unit.removesuffix(".service"), "stop") for unit in units]

    @property
    def _systemd(self) -> bool:
        """True on a system that systemd has booted (sd_booted(3))."""
        return self._live and self._root.is_dir("/run/systemd/system")

    def _property(self, unit: str, name: str) -> str:
        """The property NAME of UNIT; "" without a running systemd.

        CentOS 7's systemctl has no --value yet.
        """
        if not self._systemd:
            return ""
        shown = self._run("systemctl", "show", f"--property={name}", unit).stdout
        return shown.partition("=")[2].strip()
