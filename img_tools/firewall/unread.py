"""Firewalls of which we only know that they are there: other managers, and scripts of one's own.

They count as firewalls that cannot be judged, so that an image with one is not told it has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from img_tools.firewall.rules import Fates, Packet
from img_tools.model import Undecided, printable
from img_tools.rootfs import RootFS
from img_tools.units import Units

MANAGERS = ("shorewall", "shorewall6", "ferm", "firehol", "arno-iptables-firewall", "apf",
            "foomuuri", "fwknop-server", "vuurmuur", "iptables-apply", "ipset-persistent")
SCRIPTS = ("/etc/rc.local", "/etc/rc.d/rc.local", "/etc/network/interfaces",
           "/etc/network/interfaces.d/*", "/etc/network/if-pre-up.d/*", "/etc/network/if-up.d/*",
           "/etc/networkd-dispatcher/*.d/*")
SCRIPT_LIMIT = 1 << 20  # bytes
OWN_UNITS = "/etc/systemd/system"

# Loading rules, or adding one to what decides about incoming connections.
_LOADS = re.compile(
    r"^[^#\n]*\b(?:ip6?tables(?:-legacy|-nft)?-restore\b|nft\s+(?:-\w+\s+)*-f\b"
    r"|ip6?tables(?:-legacy|-nft)?\s+(?:-w\s+)?-[AIP]\s+INPUT\b)", re.M)


class Unread:
    """Inbound decided by what this program does not read."""

    def __init__(self, name: str, path: str) -> None:
        self._text = (f"{path} ({name}) sets up a firewall in a way that img-check cannot read; "
                      "use ufw, firewalld, nftables.service or iptables-persistent, or skip this "
                      "check")

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound."""
        raise Undecided(printable(self._text))


def find(root: RootFS, units: Units) -> Iterator[tuple[str, str]]:
    """(name, path) of every such firewall that is run at boot."""
    for name in MANAGERS:
        unit = f"{name}.service"
        if units.starts(unit):
            yield name, units.file(unit) or f"/etc/init.d/{name}"
    for pattern in SCRIPTS:
        for entry in root.glob(pattern):
            if root.is_file(entry.path) and _loads(root, entry.path):
                yield "a script", entry.path
    for name in root.listdir(OWN_UNITS):
        path = f"{OWN_UNITS}/{name}"
        if not name.endswith(".service") or name in _READ or not root.is_file(path):
            continue
        if units.starts(name) and (re.search(r"firewall|iptables|nftables", name)
                                   or _loads(root, path)):
            yield "a service", path


# Services that the other modules read; a changed copy in /etc is still theirs.
_READ = frozenset({"firewalld.service", "nftables.service", "iptables.service", "ip6tables.service",
                   "netfilter-persistent.service", "iptables-persistent.service", "ufw.service",
                   "csf.service", "lfd.service"})


def _loads(root: RootFS, path: str) -> bool:
    data = root.read_bytes(path, SCRIPT_LIMIT, head=True)
    return bool(_LOADS.search(data.decode("utf-8", "surrogateescape")))
