"""Packet filter rules of any syntax, and what becomes of a packet that meets them.

The question is always the same: a stranger on the Internet opens a TCP connection to a port of this
machine; is it let in? A condition answers yes, no, or None when the files cannot tell (an unknown
match, an interface whose name depends on the machine); then both ways are followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from img_tools.model import Undecided

MAX_DEPTH = 64  # chains that call each other; the kernel's own limit is 16 for nftables


class Fate(StrEnum):
    """What may become of a packet; RETURN goes back to the calling chain."""

    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"


Fates = frozenset[Fate]
ACCEPT: Fates = frozenset({Fate.ACCEPT})
DROP: Fates = frozenset({Fate.DROP})
EITHER: Fates = ACCEPT | DROP
RETURN: Fates = frozenset({Fate.RETURN})


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a TCP connection from a stranger, over IPv4 or IPv6 (`family` 4 or 6).

    Its port is `port`, or None for "some port": then every port that is named may be the one.
    """

    port: int | None
    family: int = 4


Condition = Callable[[Packet], bool | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """When all conditions hold: `fates` ends the packet's way, or `chain` decides.

    With neither nothing happens (log, count, mark). `goto` does not come back to this chain.
    """

    conditions: Sequence[Condition]
    fates: Fates = frozenset()
    chain: str | None = None
    goto: bool = False

    def applies(self, packet: Packet) -> bool | None:
        """True, False, or None when it cannot be told."""
        answers = {condition(packet) for condition in self.conditions}
        return False if False in answers else None if None in answers else True


@dataclass(slots=True)
class Chain:
    """Rules in order; `policy` is what happens at the end of a base chain."""

    policy: Fates = RETURN
    rules: list[Rule] = field(default_factory=list)


class Inbound(Protocol):
    """Whatever decides about connections from outside."""

    def fates(self, packet: Packet) -> Fates:
        """What may become of PACKET: ACCEPT, DROP or both. Raises Undecided when not understood."""


def walk(chains: Mapping[str, Chain], base: str, packet: Packet) -> Fates:
    """What may become of PACKET in the base chain BASE of CHAINS, by name."""
    return _Walk(chains, packet).chain(base, 0)


class _Walk:
    """One packet's way. A chain gives the same answer every time, so each is walked once."""

    def __init__(self, chains: Mapping[str, Chain], packet: Packet) -> None:
        self._chains = chains
        self._packet = packet
        self._known: dict[str, Fates] = {}

    def chain(self, name: str, depth: int) -> Fates:
        if name not in self._known:
            if depth > MAX_DEPTH:
                raise Undecided(f"the firewall chains around '{name}' call each other endlessly")
            if name not in self._chains:
                raise Undecided(f"a firewall rule jumps to '{name}', which does not exist")
            self._known[name] = self._run(self._chains[name], depth)
        return self._known[name]

    def _run(self, chain: Chain, depth: int) -> Fates:
        possible: Fates = frozenset()
        for rule in chain.rules:
            applies = rule.applies(self._packet)
            if applies is False or not (rule.fates or rule.chain):
                continue
            fates = self.chain(rule.chain, depth + 1) if rule.chain else rule.fates
            if rule.chain and not rule.goto and Fate.RETURN in fates:
                possible |= fates - RETURN
            else:
                ends = self._ended(fates, chain)
                if applies:
                    return possible | ends
                possible |= ends
        return possible | chain.policy

    def _ended(self, fates: Fates, chain: Chain) -> Fates:
        """A return in a base chain is its policy."""
        return fates - RETURN | chain.policy if Fate.RETURN in fates else fates


def in_ranges(ranges: Sequence[tuple[int, int]], port: int | None) -> bool | None:
    """True when PORT lies in one of RANGES; "some port" does when they cover all, else maybe."""
    if port is not None or not ranges:
        return port is not None and any(low <= port <= high for low, high in ranges)
    covered = 1
    for low, high in sorted(ranges):
        if low > covered:
            break
        covered = max(covered, high + 1)
    return True if covered > 65535 else None


def negated(answer: bool | None) -> bool | None:
    """NOT, with not known staying so."""
    return None if answer is None else not answer


def interface(name: str) -> bool | None:
    """True when a stranger's packet arrives on interface NAME.

    A Droplet's public interface is eth0 and its private one eth1; what others are called depends on
    the machine. `lo`, tunnels and bridges are never where strangers come from.
    """
    plain = name.rstrip("+*")
    if name in ("+", "*") or name == "eth0" or (plain != name and "eth0".startswith(plain)):
        return True
    if re.fullmatch(r"eth[1-9]\d*", plain):
        return False
    inner = ("lo", "docker", "br-", "virbr", "veth", "tun", "tap", "wg", "tailscale", "cni")
    return False if plain.startswith(inner) else None


def address(text: str) -> bool:
    """True when TEXT (an address or network) holds every stranger; a particular one holds none."""
    return text.partition("/")[2] in ("0", "0.0.0.0")  # noqa: S104  (nothing is bound)


_NOT_OURS = re.compile(r"127\.|::1|22[4-9]\.|23\d\.|255\.255\.255\.255|ff|fe80:", re.I)


def own_address(items: Sequence[str]) -> bool | None:
    """True when a packet to this machine goes to one of ITEMS (addresses or networks).

    Which addresses it will have is not known, but none is loopback or multicast.
    """
    if any(address(item) for item in items):
        return True
    return False if all(_NOT_OURS.match(item) for item in items) else None


SERVICES = {
    "ssh": 22, "http": 80, "https": 443, "ftp": 21, "smtp": 25, "domain": 53, "telnet": 23,
    "submission": 587, "imap2": 143, "imaps": 993, "pop3": 110, "pop3s": 995, "mysql": 3306,
    "postgresql": 5432, "ntp": 123, "snmp": 161, "ldap": 389, "ldaps": 636, "nfs": 2049,
    "sunrpc": 111, "microsoft-ds": 445, "http-alt": 8080, "ms-wbt-server": 3389, "bootpc": 68,
    "bootps": 67, "mdns": 5353, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139,
}


def port_range(text: str, separator: str) -> tuple[int, int] | None:
    """(low, high) of a port, a service's name or LOW<separator>HIGH; None for what is neither."""
    low, dash, high = text.partition(separator)
    if text in SERVICES:
        low, dash = str(SERVICES[text]), ""
    low, high = low or "0", (high or "65535") if dash else low
    if not (low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
        return None
    return (int(low[:6]), int(high[:6]))
