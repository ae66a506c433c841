"""One rule of nft(8): its words turned into conditions and a verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from img_tools.firewall.rules import (
    ACCEPT,
    DROP,
    EITHER,
    RETURN,
    Condition,
    Fates,
    Rule,
    address,
    in_ranges,
    interface,
    negated,
    own_address,
    port_range,
)

Sets = Mapping[str, Sequence[str]]

_VERDICTS: dict[str, Fates] = {
    "accept": ACCEPT, "drop": DROP, "reject": DROP, "return": RETURN, "queue": EITHER,
    "continue": frozenset(),
}
_NAT = ("masquerade", "snat", "dnat", "redirect", "tproxy", "dup", "fwd")
_PAIRS = frozenset({"meta", "ct", "tcp", "udp", "udplite", "sctp", "dccp", "th", "ip", "ip6",
                    "icmp", "icmpv6", "ether"})
_SINGLES = frozenset({"iif", "iifname", "oif", "oifname", "mark", "skuid", "skgid", "pkttype",
                      "protocol", "l4proto", "nfproto"})
# Options of `log` and `counter`, each with one word.
_LOG = frozenset({"prefix", "level", "group", "snaplen", "queue-threshold", "flags", "packets",
                  "bytes", "name"})


def parse(words: Sequence[str], sets: Sets) -> list[Rule]:
    """The rules that WORDS write: one, or one for each element of a verdict map."""
    return _Words(words, sets).rules()


def elements(words: Sequence[str]) -> list[str]:
    """What stands between the braces of WORDS, split at commas, blanks within joined."""
    items: list[list[str]] = [[]]
    for word in words:
        if word == ",":
            items.append([])
        elif word not in ("{", "}"):
            items[-1].append(word.strip('"'))
    return [" ".join(item) for item in items if item]


class _Words:
    def __init__(self, words: Sequence[str], sets: Sets) -> None:
        self._left = list(reversed(words))
        self._sets = sets
        self._conditions: list[Condition] = []

    def rules(self) -> list[Rule]:
        while self._left:
            word = self._left.pop()
            if word in ("jump", "goto"):
                return [Rule(self._conditions, chain=self._left.pop(), goto=word == "goto")]
            if word in _VERDICTS:
                return [Rule(self._conditions, _VERDICTS[word])]
            if word in _NAT or word == "comment":
                break
            made = self._word(word)
            if made is not None:
                return made
        return []  # a rule without a verdict lets the packet go on

    def _word(self, word: str) -> list[Rule] | None:
        """Read what WORD begins; the rules when it is a verdict map, which ends the rule."""
        if word in ("log", "counter"):
            while self._left and self._left[-1] in _LOG:
                del self._left[-2:]
        elif word in ("limit", "quota"):
            self._rate()
        elif word in ("add", "update", "delete", "meter"):
            self._dynamic()
        elif word == "notrack":
            pass
        elif word == "fib":
            self._fib()
        elif word in _PAIRS and self._left:
            return self._match(f"{word} {self._left.pop()}")
        elif word in _SINGLES:
            return self._match(f"meta {word}")
        else:
            self._unknown()
        return None

    def _unknown(self) -> None:
        self._conditions.append(lambda packet: None)

    def _rate(self) -> None:
        """`limit rate over ...` is not met by a first connection; any other limit is."""
        text = []
        while self._left and re.fullmatch(
                r"rate|over|until|used|\d+|burst|packets|bytes|[km]?bytes|name|\"[^\"]*\"|[\d/].*"
                r"|[km]?bytes/\w+", self._left[-1]):
            text.append(self._left.pop())
        if "over" in text:
            self._conditions.append(lambda packet: False)

    def _dynamic(self) -> None:
        """`add @seen { ip saddr limit rate over ... }`: a first connection is below the limit."""
        text = []
        while self._left:
            text.append(self._left.pop())
            if text[-1] == "}":
                break
        if "over" in text:
            self._conditions.append(lambda packet: False)

    def _fib(self) -> None:
        """`fib daddr type local` holds for what is meant for us; other lookups are not known."""
        key = []
        while self._left and self._left[-1] not in ("type", "oif", "oifname", "check"):
            key.append(self._left.pop())
        result = self._left.pop() if self._left else ""
        different, values = self._operand()
        if key[:1] == ["daddr"] and result == "type" and values is not None:
            answer: bool | None = "local" in values
            self._conditions.append(lambda packet: negated(answer) if different else answer)
        else:
            self._unknown()

    def _match(self, key: str) -> list[Rule] | None:
        if key == "tcp flags":
            self._tcp_flags()
            return None
        if self._left[-1:] == ["."]:  # a concatenation: too much for us
            while self._left and self._left[-1] not in ("{", "vmap") and self._left[-1][0] != "@":
                self._left.pop()
            mapped = self._left[-1:] == ["vmap"]
            self._operand()
            self._unknown()
            return [Rule(self._conditions, EITHER | RETURN)] if mapped else None
        if self._left[-1:] == ["set"]:  # `meta mark set 1` changes and does not compare
            self._left.pop()
            self._operand()
            return None
        if key == "ct count":  # `ct count over 20`: a first connection is below
            over = self._left[-1:] == ["over"]
            del self._left[-2 if over else -1:]
            self._conditions.append(lambda packet: not over)
            return None
        if self._left[-1:] == ["vmap"]:
            self._left.pop()
            return self._verdict_map(key)
        different, values = self._operand()
        self._conditions.append(_condition(key, values, different))
        return None

    def _verdict_map(self, key: str) -> list[Rule]:
        _, values = self._operand()
        rules = []
        for value in values or []:
            text, _, verdict = value.rpartition(":")
            conditions = [*self._conditions, _condition(key, [text.strip()])]
            kind, _, chain = verdict.strip().partition(" ")
            if kind in ("jump", "goto"):
                rules.append(Rule(conditions, chain=chain.strip(), goto=kind == "goto"))
            else:
                rules.append(Rule(conditions, _VERDICTS.get(kind, EITHER)))
        # What is in a map that is filled later is not known.
        return rules or [Rule([*self._conditions, lambda packet: None], EITHER)]

    def _tcp_flags(self) -> None:
        """A first packet has SYN set and nothing else."""
        text = " ".join(reversed(self._left))
        match = re.match(
            r"(?:(?P<op>==|!=)\s*)?(?:&\s*(?P<mask>\([^)]*\)|\S+)\s*(?P<op2>==|!=)\s*)?"
            r"(?P<value>\{[^}]*\}|\([^)]*\)|\w+(?:\s*[|,]\s*\w+)*)"
            r"(?:\s*/\s*(?P<mask2>\w+(?:\s*,\s*\w+)*))?", text)
        if match is None:
            self._unknown()
            return
        self._left = re.findall(r'"[^"]*"|[{},]|[^\s{},]+', text[match.end():])[::-1]
        wanted = set(re.findall(r"\w+", match["value"])) - {"0x0", "0"}
        mask = set(re.findall(r"\w+", match["mask"] or match["mask2"] or ""))
        operator = match["op"] or match["op2"]
        if mask:
            answer = ({"syn"} & mask) == wanted
        else:
            answer = wanted == {"syn"} if operator and "{" not in match["value"] else (
                "syn" in wanted)
        final = not answer if operator == "!=" else answer
        self._conditions.append(lambda packet: final)

    def _operand(self) -> tuple[bool, list[str] | None]:
        """(whether it is `!=`, the values compared with); None for values that are not known."""
        different = False
        while self._left and self._left[-1] in ("==", "!=", "eq", "ne", "vmap"):
            different = self._left.pop() in ("!=", "ne") or different
        if not self._left:
            return different, None
        word = self._left.pop()
        if word == "{":
            inner = []
            while self._left and (word := self._left.pop()) != "}":
                inner.append(word)
            return different, self._expand(elements(inner))
        if word in ("&", "|", "and", "or"):
            self._left.pop()
            self._operand()
            return different, None
        values = [word.strip('"')]
        while self._left[-1:] == [","]:  # `ct state established, related`
            self._left.pop()
            values.append(self._left.pop().strip('"'))
        return different, self._expand(values)

    def _expand(self, values: Sequence[str]) -> list[str] | None:
        found: list[str] = []
        for value in values:
            if value.startswith("@"):
                found += self._sets.get(value[1:]) or [value]
            else:
                found.append(value)
        return found


def _any(answers: Sequence[bool | None]) -> Condition:
    answer = True if True in answers else None if None in answers else False
    return lambda packet: answer


def _condition(key: str, values: Sequence[str] | None, different: bool = False) -> Condition:
    """Whether KEY ("tcp dport") is, or with DIFFERENT is not, one of VALUES.

    A rule on a field of another protocol or family never meets our packet, `!=` or not.
    """
    first, _, second = key.partition(" ")
    if first in ("udp", "udplite", "sctp", "dccp", "icmp", "icmpv6"):
        return lambda packet: False
    plain = _compare(first, second, values) if values is not None else (lambda packet: None)
    compared = (lambda packet: negated(plain(packet))) if different else plain
    if first in ("ip", "ip6"):
        family = 4 if first == "ip" else 6
        return lambda packet: compared(packet) if packet.family == family else False
    return compared


def _compare(first: str, second: str, values: Sequence[str]) -> Condition:
    if second == "dport" and first in ("tcp", "th"):
        return _ports(values)
    if first in ("ip", "ip6"):
        return _network(second, values)
    match f"{first} {second}":
        case "ct state":
            return _any(["new" in values])
        case "meta iif" | "meta iifname":
            return _any([interface(name) for name in values])
        case "meta l4proto":
            return _any([bool({"tcp", "6"} & set(values))])
        case "meta nfproto" | "meta protocol":
            families = {4} if {"ipv4", "ip"} & set(values) else set()
            families |= {6} if {"ipv6", "ip6"} & set(values) else set()
            return lambda packet: packet.family in families
        case "meta pkttype":
            return _any([bool({"unicast", "host"} & set(values))])
    return lambda packet: None


def _network(name: str, values: Sequence[str]) -> Condition:
    if name == "saddr":
        return _any([address(value) for value in values])
    if name == "daddr":
        return _any([own_address(values)])
    if name in ("protocol", "nexthdr"):
        return _any([bool({"tcp", "6"} & set(values))])
    return lambda packet: None


def _ports(values: Sequence[str]) -> Condition:
    ranges = [found for value in values if (found := port_range(value, "-"))]
    if len(ranges) != len(values):  # a set that is filled later, or a name that we do not know
        return lambda packet: (packet.port is not None and in_ranges(ranges, packet.port)) or None
    return lambda packet: in_ranges(ranges, packet.port)
