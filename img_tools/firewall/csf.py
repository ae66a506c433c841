"""ConfigServer Security & Firewall, from its configuration file (its readme.txt)."""

from __future__ import annotations

import re

from img_tools.firewall.rules import ACCEPT, DROP, Fates, Packet, in_ranges, port_range
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

CONF = "/etc/csf/csf.conf"
DISABLED = "/etc/csf/csf.disable"  # there after `csf -x`


class Csf:
    """Inbound decided by csf.conf: what TCP_IN (for IPv6 TCP6_IN) names is open, nothing else."""

    def __init__(self, root: RootFS) -> None:
        self._root = root

    def value(self, name: str) -> str:
        """The value of NAME. Raises Undecided without it."""
        value = None
        for line in self._root.read_lines(CONF):
            match = re.match(rf'\s*{name}\s*=\s*"([^"]*)"', line)
            value = match[1].strip() if match else value
        if value is None:
            raise Undecided(f"{CONF} has no {name}")
        return value

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound."""
        if packet.family == 6 and self.value("IPV6") != "1":
            return ACCEPT  # csf leaves IPv6 alone then
        text = self.value("TCP6_IN" if packet.family == 6 else "TCP_IN")
        items = [item.strip() for item in text.split(",") if item.strip()]
        ranges = [found for item in items if (found := port_range(item, ":"))]
        if len(ranges) != len(items):
            raise Undecided(f"{CONF}: TCP_IN is not a list of ports")
        answer = in_ranges(ranges, packet.port)
        return ACCEPT if answer else DROP if answer is False else ACCEPT | DROP
