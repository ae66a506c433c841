"""apt and dpkg."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from img_tools.model import Undecided
from img_tools.once import once
from img_tools.packages import Installed, Repository, Updates
from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch

STATUS = "/var/lib/dpkg/status"
_ADVICE = {
    "install": "apt-get install",
    "remove": "apt-get purge",
    "upgrade": "apt-get update && apt-get dist-upgrade",
    "refresh": "apt-get update",
    "repair": "dpkg --configure -a && apt-get --fix-broken install",
}


class Apt:
    """The apt of the image at ROOT; SCRATCH is where indexes are refreshed, None not to."""

    name = "apt"

    def __init__(self, root: RootFS, run: Runner, scratch: Scratch | None) -> None:
        self._root = root
        self._run = run
        self._scratch = scratch

    @once
    def installed(self) -> Mapping[str, Installed]:
        """Every package on the disk by name, read from dpkg's own file."""
        packages: dict[str, Installed] = {}
        for package in _installed(self._root):
            packages.setdefault(package.name, package)
        if not packages:
            raise Undecided(f"{STATUS} is missing or empty: no package is known")
        return packages

    @once
    def repositories(self) -> Sequence[Repository]:
        """Every enabled repository of sources.list and sources.list.d."""
        raise NotImplementedError

    @once
    def updates(self) -> Updates:
        """Pending updates; see PackageManager.updates."""
        raise NotImplementedError

    @once
    def unavailable(self) -> Sequence[Installed]:
        """Installed packages in a version that no repository provides."""
        raise NotImplementedError

    def newer(self, version: str, other: str) -> bool:
        """True when VERSION is later than OTHER, as dpkg orders them."""
        raise NotImplementedError

    def advice(self, verb: str, *packages: str) -> str:
        """The command for a person; see PackageManager.advice."""
        return " ".join([_ADVICE[verb], *packages])


_FIELD = re.compile(r"^(Package|Status|Version|Architecture): (.*)$", re.M)


def _installed(root: RootFS) -> Iterator[Installed]:
    try:
        text = root.read_text(STATUS)
    except FileNotFoundError:
        return
    for stanza in text.split("\n\n"):
        fields = dict(_FIELD.findall(stanza))
        want, _, state = fields.get("Status", "").split(" ") if fields.get(
            "Status", "").count(" ") == 2 else ("", "", "")
        if "Package" in fields and state not in ("", "not-installed", "config-files"):
            yield Installed(fields["Package"], fields.get("Version", ""),
                            fields.get("Architecture", ""), state, want == "hold")
