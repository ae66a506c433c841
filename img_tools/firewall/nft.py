"""nftables: the part of nft(8)'s language that decides about connections from outside.

What of a rule is not understood counts as "may or may not match"; what of the structure is not
understood raises Undecided.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from img_tools.firewall import nftrule
from img_tools.firewall.rules import ACCEPT, DROP, Chain, Fate, Fates, Packet, walk
from img_tools.model import Undecided
from img_tools.rootfs import RootFS

FILE_LIMIT = 4 << 20  # bytes
MAX_FILES = 500
MAX_WORDS = 2_000_000  # of one statement, variables expanded

_TOKEN = re.compile(r'\\\n|#[^\n]*|"[^"\n]*"|[{};\n]|,|[^\s{};,"]+')
# Objects that decide nothing by themselves; their bodies are passed over.
_OBJECTS = frozenset({"counter", "quota", "limit", "flowtable", "secmark", "synproxy", "ct"})


@dataclass(slots=True)
class Base:
    """A chain that the kernel calls: where, and for which families."""

    table: tuple[str, str]
    chain: str
    families: frozenset[int]


@dataclass(slots=True)
class Ruleset:
    """Everything loaded: chains and sets by table, and the base chains that see our packet."""

    chains: dict[tuple[str, str], dict[str, Chain]] = field(default_factory=dict)
    sets: dict[tuple[str, str], dict[str, list[str]]] = field(default_factory=dict)
    bases: dict[tuple[tuple[str, str], str], Base] = field(default_factory=dict)

    def drop_table(self, table: tuple[str, str]) -> None:
        """Forget TABLE."""
        self.chains.pop(table, None)
        self.sets.pop(table, None)
        self.bases = {key: base for key, base in self.bases.items() if key[0] != table}


class _Parser:
    """Reads files into a ruleset, statement by statement."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
        self._files = 0
        self._names: dict[str, list[str]] = {}
        self.ruleset = Ruleset()

    def file(self, path: str) -> None:
        """Load PATH. Raises FileNotFoundError, or Undecided for what is not understood."""
        tokens = _Tokens(path, self._names)
        tokens.splice(self._root.read_text(path, FILE_LIMIT))
        while (word := tokens.word()) is not None:
            self._command(tokens, word)

    def _command(self, tokens: _Tokens, word: str) -> None:
        if word == "include":
            self._include(tokens)
        elif word in ("define", "redefine"):
            self._define(tokens)
        elif word in ("add", "create", "insert"):
            self._add(tokens, tokens.need(), first=word == "insert")
        elif word in ("table", "chain", "rule", "set", "map", "element"):
            self._add(tokens, word)
        elif word in ("flush", "delete", "destroy"):
            self._take_away(tokens.statement(), empty=word == "flush")
        else:
            raise tokens.lost()

    def _take_away(self, words: Sequence[str], empty: bool) -> None:
        """`flush ...` (EMPTY) takes rules away and leaves chains; `delete ...` takes all."""
        rs = self.ruleset
        what, *names = words
        if what == "ruleset":
            rs.chains, rs.sets, rs.bases = {}, {}, {}
        elif what in ("table", "chain"):
            table, rest = _table(names)
            if what == "table" and not empty:
                rs.drop_table(table)
            for name, chain in rs.chains.get(table, {}).items():
                if what == "table" or [name] == rest:
                    chain.rules.clear()
                    if not empty:
                        rs.bases.pop((table, name), None)

    def _include(self, tokens: _Tokens) -> None:
        """Put the included files in the statement's place, which may be inside a table."""
        target = "".join(tokens.statement()).strip('"')
        base = tokens.path.rpartition("/")[0] if target.startswith("./") else "/etc"
        path = target if target.startswith("/") else f"{base}/{target}"
        found = [path]
        if any(char in path for char in "*?["):
            found = [entry.path for entry in self._root.glob(path)
                     if self._root.is_file(entry.path)]
        for name in reversed(found):
            self._files += 1
            if self._files > MAX_FILES:
                raise Undecided(f"{tokens.path}: too many files include each other")
            try:
                tokens.splice(self._root.read_text(name, FILE_LIMIT))
            except FileNotFoundError:
                raise Undecided(f"{tokens.path} includes {name}, which does not exist: nft will "
                                "refuse to load it") from None

    def _define(self, tokens: _Tokens) -> None:
        name, equals, *value = tokens.statement()
        if equals != "=":
            raise tokens.lost()
        self._names[name] = value

    def _add(self, tokens: _Tokens, kind: str, first: bool = False) -> None:
        if kind in ("table", "chain", "set", "map"):
            table, rest = _table(tokens.until_block())
            self._open(table)
            if kind == "table":
                if tokens.opens():
                    self._table_body(tokens, table)
            elif kind == "chain":
                self._chain(tokens, table, rest[0])
            else:
                self._set(tokens, table, rest[0])
        elif kind == "element":
            table, rest = _table(tokens.statement())
            self.ruleset.sets.setdefault(table, {}).setdefault(rest[0], []).extend(
                nftrule.elements(rest[1:]))
        elif kind == "rule":
            table, rest = _table(tokens.statement())
            if rest[1:2] in (["position"], ["index"], ["handle"]):
                raise Undecided(f"{tokens.path}: a rule is placed by {rest[1]}")
            self._open(table)
            self._rule(table, rest[0], rest[1:], first)
        elif kind in _OBJECTS:
            tokens.skip()
        else:
            raise tokens.lost()

    def _open(self, table: tuple[str, str]) -> None:
        self.ruleset.chains.setdefault(table, {})
        self.ruleset.sets.setdefault(table, {})

    def _table_body(self, tokens: _Tokens, table: tuple[str, str]) -> None:
        for word in tokens.body():
            if word == "chain":
                self._chain(tokens, table, tokens.need())
            elif word in ("set", "map"):
                self._set(tokens, table, tokens.need())
            elif word == "include":
                self._include(tokens)
            elif word == "define":
                self._define(tokens)
            elif word in ("flags", "comment") or word in _OBJECTS:
                tokens.skip()
            else:
                raise tokens.lost()

    def _chain(self, tokens: _Tokens, table: tuple[str, str], name: str) -> None:
        chain = self.ruleset.chains[table].setdefault(name, Chain())
        if not tokens.opens():
            return
        for word in tokens.body():
            if word == "include":
                self._include(tokens)
                continue
            words = [word, *tokens.statement()]
            if word == "type":
                chain.policy = ACCEPT if chain.policy not in (ACCEPT, DROP) else chain.policy
                self._hook(table, name, words)
            elif word == "policy":
                chain.policy = DROP if words[1:] == ["drop"] else ACCEPT
            elif word not in ("comment", "devices", "device", "flags"):
                self._rule(table, name, words)

    def _hook(self, table: tuple[str, str], name: str, words: Sequence[str]) -> None:
        families = {"ip": {4}, "ip6": {6}, "inet": {4, 6}}.get(table[0], set())
        hook = words[words.index("hook") + 1] if "hook" in words[:-1] else ""
        if words[1] == "filter" and hook in ("input", "prerouting"):
            self.ruleset.bases[table, name] = Base(table, name, frozenset(families))

    def _set(self, tokens: _Tokens, table: tuple[str, str], name: str) -> None:
        found = self.ruleset.sets[table].setdefault(name, [])
        if tokens.opens():
            for word in tokens.body():
                words = tokens.statement()
                if word.rstrip("=") == "elements":
                    found += nftrule.elements([item for item in words if item != "="])

    def _rule(self, table: tuple[str, str], name: str, words: Sequence[str],
              first: bool = False) -> None:
        rules = self.ruleset.chains[table].setdefault(name, Chain()).rules
        made = nftrule.parse(words, self.ruleset.sets[table])
        rules[0 if first else len(rules):0 if first else len(rules)] = made


def _table(words: Sequence[str]) -> tuple[tuple[str, str], list[str]]:
    """((family, table), the rest) of WORDS; the family is ip when not given (nft(8))."""
    known = words[:1] and words[0] in ("ip", "ip6", "inet", "arp", "bridge", "netdev")
    family, *rest = words if known else ["ip", *words]
    if not rest:
        raise Undecided("nftables: a table without a name")
    return (family, rest[0]), rest[1:]


class _Tokens:
    """The words of a file; a newline ends a statement like `;`, except between braces of a value.

    `$name` is replaced by what was defined.
    """

    def __init__(self, path: str, names: dict[str, list[str]]) -> None:
        self.path = path
        self._names = names
        self._left: list[str] = []

    def splice(self, text: str) -> None:
        """Put the words of TEXT in front of those that are left."""
        found = [token for token in _TOKEN.findall(text) if not token.startswith(("#", "\\"))]
        self._left += [";" if token == "\n" else token for token in reversed(["\n", *found, "\n"])]

    def lost(self) -> Undecided:
        """The error for a word that this reader does not know; it may be anything, so not shown."""
        return Undecided(f"{self.path}: a statement is not understood, so it is not known what the "
                         "firewall lets in")

    def word(self) -> str | None:
        """The next word that begins a statement, None at the end."""
        while self._left and self._left[-1] == ";":
            self._left.pop()
        return self._left.pop() if self._left else None

    def need(self) -> str:
        """The next word, which must be there."""
        if not self._left:
            raise Undecided(f"{self.path} ends in the middle of a statement")
        return self._left.pop()

    def opens(self) -> bool:
        """True, and past it, when a block begins here."""
        while len(self._left) > 1 and self._left[-1] == ";" and self._left[-2] in ("{", ";"):
            self._left.pop()
        if self._left and self._left[-1] == "{":
            self._left.pop()
            return True
        return False

    def body(self) -> Iterator[str]:
        """The first word of each statement up to the end of the block."""
        while (word := self.word()) != "}":
            if word is None:
                raise Undecided(f"{self.path} ends in the middle of a block")
            yield word

    def until_block(self) -> list[str]:
        """Words up to `{` or the end of the statement."""
        words = []
        while self._left and self._left[-1] not in ("{", ";", "}"):
            words.append(self._left.pop())
        return words

    def statement(self) -> list[str]:
        """Words up to the end of the statement, braces and what they hold included."""
        words: list[str] = []
        depth = 0
        while self._left:
            token = self._left[-1]
            if depth == 0 and token in (";", "}"):
                break
            self._left.pop()
            depth += {"{": 1, "}": -1}.get(token, 0)
            if token.startswith("$") and token[1:] in self._names:
                self._left += reversed(self._names[token[1:]])
            elif token.startswith("$"):
                raise Undecided(f"{self.path} uses a variable that is not defined: nft will "
                                "refuse to load it")
            elif token != ";":
                words.append(token)
            if len(words) > MAX_WORDS:
                raise Undecided(f"{self.path}: a statement without end")
        return words

    def skip(self) -> None:
        """Past the rest of an object's definition."""
        self.statement()


class Nftables:
    """Inbound decided by the file PATH."""

    def __init__(self, root: RootFS, path: str) -> None:
        self._root = root
        self._path = path
        self._ruleset: Ruleset | None = None

    def fates(self, packet: Packet) -> Fates:
        """See rules.Inbound. Every base chain must let a packet pass, and each may drop it."""
        if self._ruleset is None:
            parser = _Parser(self._root)
            try:
                parser.file(self._path)
            except (ValueError, IndexError, RecursionError):
                raise Undecided(f"{self._path}: a statement is not understood, so it is not known "
                                "what the firewall lets in") from None
            self._ruleset = parser.ruleset
        ways = [walk(self._ruleset.chains[base.table], base.chain, packet)
                for base in self._ruleset.bases.values() if packet.family in base.families]
        accepted = all(Fate.ACCEPT in way for way in ways)
        dropped = any(Fate.DROP in way for way in ways)
        return (ACCEPT if accepted else frozenset()) | (DROP if dropped else frozenset())
