"""firewalld: zones and services as its XML files have them (firewalld.zone(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from img_tools.firewall.rules import (
    ACCEPT,
    DROP,
    Chain,
    Condition,
    Fates,
    Packet,
    Rule,
    address,
    in_ranges,
    interface,
    port_range,
    walk,
)
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

if TYPE_CHECKING:
    from xml.etree import ElementTree

CONF = "/etc/firewalld/firewalld.conf"
DIRS = ("/etc/firewalld", "/usr/lib/firewalld", "/lib/firewalld")
FALLBACK_ZONE = "public"  # what firewalld takes without a DefaultZone
FILE_LIMIT = 1 << 20  # bytes


class Firewalld:
    """Inbound decided by the zone that strangers' connections fall into."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._chains: list[Chain] | None = None

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound. With several zones that may be the one, all of their answers."""
        if self._chains is None:
            self._chains = [self._zone(zone) for zone in self._zones()]
        answers = [walk({"zone": chain}, "zone", packet) for chain in self._chains]
        return frozenset().union(*answers)

    def default_zone(self) -> str:
        """The zone of every interface that no zone names."""
        zone = FALLBACK_ZONE
        for line in self._root.read_lines(CONF):
            match = re.match(r"\s*DefaultZone\s*=\s*(\S+)", line)
            zone = match[1] if match else zone
        return zone

    def _zones(self) -> Iterator[ElementTree.Element]:
        """The zones strangers may fall into: the one of eth0, else the default one and doubtful."""
        default = self.default_zone()
        parsed = {default: self._xml("zones", default)}
        for name in self._root.listdir("/etc/firewalld/zones"):
            if name.endswith(".xml"):
                parsed[name[:-4]] = self._xml("zones", name[:-4])
        bound = {name: [interface(item.get("name", "")) for item in zone.iter("interface")]
                 for name, zone in parsed.items() if zone is not None}
        sure = [name for name, answers in bound.items() if True in answers]
        chosen = sure[:1] or [default, *(name for name, answers in bound.items()
                                         if None in answers and name != default)]
        for name in chosen:
            zone = parsed[name]
            if zone is None:
                raise Undecided(f"firewalld: the zone '{name}' has no file, so it is not known "
                                "what it lets in")
            yield zone

    def _xml(self, kind: str, name: str) -> ElementTree.Element | None:
        if not re.fullmatch(r"[\w./+-]+", name):
            raise Undecided(f"firewalld: '{name}' is no name of a file")
        for directory in DIRS:
            path = f"{directory}/{kind}/{name}.xml"
            try:
                data = self._root.read_bytes(path, FILE_LIMIT)
            except FileNotFoundError:
                continue
            # Entities could blow a small file up to any size; firewalld's files have none.
            if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
                raise Undecided(f"{path} declares a document type, which firewalld's files do not")
            from xml.etree import ElementTree  # seldom needed, and not by --list

            try:
                return ElementTree.fromstring(data)  # noqa: S314  (no entities, bounded size)
            except (ElementTree.ParseError, ValueError, LookupError):
                raise Undecided(f"{path} is not XML that can be read") from None
        return None

    def _zone(self, zone: ElementTree.Element) -> Chain:
        """The zone as rules: rich ones that deny first, then all that allow, then the target."""
        denied: list[Rule] = []
        allowed: list[Rule] = []
        for item in zone:
            if item.tag in ("service", "port", "protocol"):
                allowed.append(Rule([self._opens(item)], ACCEPT))
            elif item.tag == "rule":
                self._rich(item, denied, allowed)
        # `default` and `%%REJECT%%` reject; anything but ACCEPT lets nobody in.
        target = ACCEPT if zone.get("target") == "ACCEPT" else DROP
        return Chain(target, [*denied, *allowed])

    def _rich(self, rule: ElementTree.Element, denied: list[Rule], allowed: list[Rule]) -> None:
        conditions: list[Condition] = []
        fates: Fates = frozenset()
        for item in rule:
            if item.tag == "source":
                inside = address(item.get("address", "")) != (item.get("invert") in ("yes", "true"))
                conditions.append(lambda packet, inside=inside: inside)  # type: ignore[misc]
            elif item.tag in ("service", "port", "protocol"):
                conditions.append(self._opens(item))
            elif item.tag in ("accept", "reject", "drop"):
                fates = ACCEPT if item.tag == "accept" else DROP
            elif item.tag not in ("log", "audit", "nflog"):
                conditions.append(lambda packet: None)
        family = {"ipv4": 4, "ipv6": 6}.get(rule.get("family", ""))
        if family:
            conditions.append(lambda packet: packet.family == family)
        if fates:
            (allowed if fates == ACCEPT else denied).append(Rule(conditions, fates))

    def _opens(self, item: ElementTree.Element) -> Condition:
        """Whether a <service>, <port> or <protocol> is what the packet goes to."""
        if item.tag == "protocol":
            answer = item.get("value", "").lower() in ("tcp", "6", "all")
            return lambda packet: answer
        ports = [item]
        if item.tag == "service":
            service = self._xml("services", item.get("name", ""))
            if service is None:
                return lambda packet: None
            ports = [*service.iter("port")]
        ranges = [found for port in ports if port.get("protocol") == "tcp"
                  and (found := port_range(port.get("port", ""), "-"))]
        return lambda packet: in_ranges(ranges, packet.port)
