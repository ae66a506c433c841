"""iptables rules as iptables-save(8) writes them, and the services that load them at boot."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence

from img_tools.firewall.rules import (
    ACCEPT,
    DROP,
    EITHER,
    RETURN,
    Chain,
    Condition,
    Fates,
    Packet,
    Rule,
    address,
    in_ranges,
    interface,
    negated,
    own_address,
    port_range,
    walk,
)
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

FILE_LIMIT = 8 << 20  # bytes
Chains = dict[str, Chain]
Tables = dict[str, Chains]
BUILT_IN = ("INPUT", "FORWARD", "OUTPUT", "PREROUTING", "POSTROUTING")

TARGETS: dict[str, Fates] = {
    "ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": RETURN, "TARPIT": DROP,
    "QUEUE": EITHER, "NFQUEUE": EITHER,  # a program decides
    **dict.fromkeys(("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "TCPMSS",
                     "CLASSIFY", "AUDIT", "SET", "TRACE", "CT", "NOTRACK", "TOS", "DSCP", "TTL",
                     "HL", "CHECKSUM", "TEE", "RATEEST"), frozenset()),
}


def load(root: RootFS, path: str, tables: Tables | None = None) -> Tables:
    """The tables of the file PATH, added to TABLES the way `iptables-restore -n` adds.

    Raises Undecided for what is not understood, FileNotFoundError without the file.
    """
    tables = {} if tables is None else tables
    chains: Chains | None = None
    for number, line in enumerate(root.read_text(path, FILE_LIMIT).split("\n"), 1):
        line = re.sub(r"^\[\d+:\d+\]\s*", "", line.strip())
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("*"):
                chains = tables.setdefault(line[1:].strip(), {})
            elif line == "COMMIT":
                chains = None
            elif chains is None:
                raise ValueError
            else:
                _line(chains, line)
        except (ValueError, IndexError):
            raise Undecided(f"{path}: line {number} is not understood, so it is not known what "
                            "the firewall lets in") from None
    if chains is not None:
        raise Undecided(f"{path} does not end in COMMIT: iptables-restore would refuse it")
    return tables


def _line(chains: Chains, line: str) -> None:
    if line.startswith(":"):
        name, policy = line[1:].split()[:2]
        chain = chains.setdefault(name, Chain())
        if name in BUILT_IN:
            chain.policy = TARGETS[policy] if policy in ("ACCEPT", "DROP") else ACCEPT
        else:
            chain.rules.clear()
        return
    command, name, *rest = shlex.split(line)
    if command in ("-N", "--new-chain"):
        chains[name] = Chain()
    elif command in ("-P", "--policy"):
        chains.setdefault(name, Chain()).policy = {"ACCEPT": ACCEPT, "DROP": DROP}.get(
            rest[0], EITHER)
    elif command in ("-F", "--flush"):
        chains.setdefault(name, Chain()).rules.clear()
    elif command in ("-A", "--append"):
        chains.setdefault(name, _new(name)).rules.append(rule(rest))
    elif command in ("-I", "--insert"):
        at = int(rest.pop(0)) - 1 if rest and rest[0].isdigit() else 0
        chains.setdefault(name, _new(name)).rules.insert(at, rule(rest))
    else:
        raise ValueError


def _new(name: str) -> Chain:
    return Chain(ACCEPT if name in BUILT_IN else RETURN)


def rule(words: Sequence[str]) -> Rule:
    """The rule that WORDS, what follows `-A CHAIN`, write. Raises ValueError or IndexError."""
    conditions: list[Condition] = []
    target, goto, invert = "", False, False
    rest = list(words)
    while rest:
        option = rest.pop(0)
        if option == "!":
            invert = True
            continue
        if option in ("-j", "--jump", "-g", "--goto"):
            target, goto = rest.pop(0), option in ("-g", "--goto")
            continue
        if rest and rest[0] == "!":  # `--dport ! 22`, the old way to say it
            invert = bool(rest.pop(0))
        condition = _condition(option, rest)
        if condition is not None:
            conditions.append(_not(condition) if invert else condition)
        invert = False
    if not target or target in TARGETS:
        return Rule(conditions, TARGETS.get(target, frozenset()))
    return Rule(conditions, chain=target, goto=goto)


def _not(condition: Condition) -> Condition:
    return lambda packet: negated(condition(packet))


def _always(answer: bool | None) -> Condition:
    return lambda packet: answer


def _ports(text: str) -> Condition:
    ranges = [found for item in text.split(",") if (found := port_range(item, ":"))]
    if len(ranges) != len(text.split(",")):
        return _always(None)  # a service's name that we do not know
    return lambda packet: in_ranges(ranges, packet.port)


def _source_ports(text: str) -> Condition:
    ranges = [found for item in text.split(",") if (found := port_range(item, ":"))]
    # Clients come from above 1023; a particular source port is one that a stranger may choose.
    covers = any(low <= 1024 and high == 65535 for low, high in ranges)
    return _always(True if covers else None)


def _protocol(text: str) -> Condition:
    return _always(text.lower() in ("tcp", "6", "all", "0"))


def _states(text: str) -> Condition:
    return _always("NEW" in text.split(","))


def _addresses(text: str) -> Condition:
    return _always(any(address(item) for item in text.split(",")))


def _address_type(text: str) -> Condition:
    return _always("LOCAL" in text.split(","))


_ONE: dict[str, Callable[[str], Condition]] = {
    **dict.fromkeys(("-p", "--protocol", "--proto"), _protocol),
    **dict.fromkeys(("-s", "--source", "--src"), _addresses),
    **dict.fromkeys(("-d", "--destination", "--dst"),
                    lambda text: _always(own_address(text.split(",")))),
    **dict.fromkeys(("-i", "--in-interface"), lambda name: _always(interface(name))),
    **dict.fromkeys(("--dport", "--dports", "--destination-port", "--destination-ports"), _ports),
    **dict.fromkeys(("--sport", "--sports", "--source-port", "--source-ports"), _source_ports),
    **dict.fromkeys(("--ctstate", "--state"), _states),
    "--dst-type": _address_type,
    "--src-type": lambda text: _always("UNICAST" in text.split(",")),
    "--pkt-type": lambda text: _always(text.lower() in ("unicast", "host")),
    # A first connection is under every rate; a rule for what is above one does not meet it.
    "--hashlimit-above": lambda text: _always(False),
    "--connlimit-above": lambda text: _always(False),
}
# Words that decide nothing here: modules' names, rates, and what belongs to a target.
_IGNORED_ONE = re.compile(
    r"--(limit|limit-burst|comment|seconds|hitcount|name|mask|reject-with|hashlimit-(?!above).*"
    r"|connlimit-(?:upto|mask)|log-prefix|log-level|nflog-.*|ulog-.*|set-x?mark|ctdir|queue-num)")
_IGNORED_NONE = frozenset({"--set", "--rsource", "--rdest", "--log-tcp-options", "--log-uid",
                           "--log-ip-options", "--log-tcp-sequence", "--connlimit-saddr", "-4"})
_MODULES = frozenset({"tcp", "udp", "multiport", "conntrack", "state", "comment", "limit", "recent",
                      "addrtype", "hashlimit", "connlimit", "pkttype", "icmp", "icmp6", "iprange",
                      "set", "mark", "mac", "owner", "tos", "ttl", "hl", "geoip"})


def _condition(option: str, rest: list[str]) -> Condition | None:
    """The condition OPTION sets, its arguments taken from REST; None for no condition."""
    option, equals, value = option.partition("=") if option.startswith("--") else (option, "", "")
    if equals:
        rest.insert(0, value)
    if option in ("-m", "--match"):
        return None if rest.pop(0) in _MODULES else _always(None)
    if option in _ONE:
        return _ONE[option](rest.pop(0))
    if option in _IGNORED_NONE:
        return None
    if _IGNORED_ONE.fullmatch(option):
        rest.pop(0)
        return None
    if option in ("--update", "--rcheck", "--remove"):  # -m recent: who was here before
        return _always(False)
    if option == "--match-set":  # a stranger is in no list of addresses; ports may be in one
        _, flags = rest.pop(0), rest.pop(0)
        return _always(False if "src" in flags else None)
    if option == "--syn":
        return _always(True)
    if option == "--tcp-flags":
        mask, wanted = rest.pop(0).split(","), rest.pop(0).split(",")
        has_syn = "SYN" in mask or "ALL" in mask
        return _always(set(wanted) - {"NONE"} == ({"SYN"} if has_syn else set()))
    if not option.startswith("-"):
        raise ValueError(option)
    while rest and not rest[0].startswith(("-", "!")):
        rest.pop(0)
    return _always(None)


class SavedRules:
    """Inbound decided by saved rules: `paths` for IPv4 and IPv6, None where nothing is loaded."""

    def __init__(self, root: RootFS, path4: str | None, path6: str | None) -> None:
        self._root = root
        self._paths = {4: path4, 6: path6}
        self._loaded: dict[int, Tables] = {}

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound."""
        path = self._paths[packet.family]
        if path is None:
            return ACCEPT
        if packet.family not in self._loaded:
            self._loaded[packet.family] = load(self._root, path)
        chains = self._loaded[packet.family].get("filter", {})
        return walk(chains, "INPUT", packet) if "INPUT" in chains else ACCEPT
