"""The part of YAML within brackets and quotes, read character by character; see yaml.py."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.model import Undecided

MAX_DEPTH = 60  # of nested collections; configuration has fewer than ten
MAX_NODES = 200_000  # values, those that aliases repeat counted each time
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ALIAS = re.compile(r"\*([^\s\[\]{},]+)")
_PLAIN = re.compile(r"(?:[^,\[\]{}:#\n]|(?<!\s)#|:(?![\s,\[\]{}]))+")
_BLANK = re.compile(r"(?:\s|(?<=\s)#[^\n]*)*")
_SPACE = re.compile(r"\s*")
_CONTINUED = re.compile(r"\n[ \t]*(?!\s)")
_ESCAPES = {"n": "\n", "t": "\t", "\t": "\t", "r": "\r", "0": "\0", "e": "\x1b", '"': '"',
            "/": "/", "\\": "\\", " ": " ", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_HEX = {"x": 2, "u": 4, "U": 8}


class NotUnderstood(Undecided):
    """The text is not YAML, or is YAML beyond what is read here."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line it begins on: a scalar (text), a sequence (items) or a mapping (pairs).

    A null is a scalar whose text is None. Pairs keep their order and their duplicates.
    """

    line: int
    text: str | None = None
    items: tuple[Node, ...] | None = None
    pairs: tuple[tuple[str, Node], ...] | None = None

    def get(self, key: str) -> Node | None:
        """The value of KEY in a mapping (of duplicates the last, as PyYAML has it), or None."""
        return next((node for name, node in reversed(self.pairs or ()) if name == key), None)

    @property
    def words(self) -> tuple[str, ...]:
        """The scalars of a sequence, or a scalar by itself."""
        if self.items is None:
            return () if self.text is None else (self.text,)
        return tuple(node.text for node in self.items if node.text is not None)

    def walk(self, *above: str) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Every value of a mapping below this node, with the keys that lead to it."""
        for node in self.items or ():
            yield from node.walk(*above)
        for key, node in self.pairs or ():
            yield (*above, key), node
            yield from node.walk(*above, key)


class FlowReader:
    """Reads TEXT, which SOURCE names in errors; positions are offsets into it, lines count from 0.

    `at` is the line being read.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.at = 0
        self.starts = [0]
        for line in text.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.depth = 0
        self.made = 0
        if found := _CONTROL.search(text):
            raise self.refuse("a control character", self.line(found.start()))

    def line(self, offset: int) -> int:
        """The line that OFFSET lies on."""
        return bisect.bisect_right(self.starts, offset) - 1

    def refuse(self, what: str, line: int | None = None) -> NotUnderstood:
        """The error that says WHAT is on the line, by default the one being read."""
        number = self.at if line is None else line
        return NotUnderstood(f"{self.source} line {number + 1}: {what}; it cannot be judged")

    def count(self, nodes: int, line: int) -> None:
        """Keep aliases of aliases from growing without end."""
        self.made += nodes
        if self.made > MAX_NODES:
            raise self.refuse("too large", line)

    def flow(self, at: int) -> tuple[Node, int]:
        """The value at offset AT, within brackets, and the offset behind it."""
        line = self.line(at) + 1
        self.count(1, line - 1)
        char = self.text[at:at + 1]
        if char in ('"', "'"):
            text, end = self.quoted(at)
            return Node(line, text), end
        if found := _ALIAS.match(self.text, at):
            if found[1] not in self.anchors:
                raise self.refuse("an alias without its anchor", line - 1)
            node, size = self.anchors[found[1]]
            self.count(size, line - 1)
            return node, found.end()
        if char in ("[", "{"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.refuse("too deeply nested", line - 1)
            read = self._flow_sequence if char == "[" else self._flow_mapping
            node, end = read(at, line)
            self.depth -= 1
            return node, end
        if char in ("&", "!", "|", ">", "%", "@", "`", "?") or not char:
            raise self.refuse("a value that is not read here", line - 1)
        found = _PLAIN.match(self.text, at)
        if found is None:
            raise self.refuse("a bracket is not closed", line - 1)
        text = found[0].strip()
        following = self.blank(found.end())
        if self.text[found.end():found.end() + 1] in ("\n", "#") and self.text[
                following:following + 1] not in (",", "]", "}", ":"):
            raise self.refuse("a plain value over several lines in brackets", line - 1)
        return Node(line, None if text in NULLS else text), found.end()

    def blank(self, at: int) -> int:
        """The offset of the next character from AT on that is neither blank nor comment."""
        found = _BLANK.match(self.text, at)
        return found.end() if found else at

    def _flow_sequence(self, at: int, line: int) -> tuple[Node, int]:
        items = []
        at = self.blank(at + 1)
        while self.text[at:at + 1] != "]":
            node, at = self.flow(at)
            items.append(node)
            at = self._comma(self.blank(at), "]", line)
        return Node(line, items=tuple(items)), at + 1

    def _flow_mapping(self, at: int, line: int) -> tuple[Node, int]:
        pairs = []
        at = self.blank(at + 1)
        while self.text[at:at + 1] != "}":
            node, at = self.flow(at)
            if node.items is not None or node.pairs is not None or node.text == "<<":
                raise self.refuse("a key that is not read here", line - 1)
            at, value = self.blank(at), Node(node.line)
            if self.text[at:at + 1] == ":":
                at = self.blank(at + 1)
                if self.text[at:at + 1] not in (",", "}"):
                    value, at = self.flow(at)
            pairs.append((node.text or "", value))
            at = self._comma(self.blank(at), "}", line)
        return Node(line, pairs=tuple(pairs)), at + 1

    def _comma(self, at: int, closing: str, line: int) -> int:
        """The offset of what follows the comma at AT, or of the CLOSING bracket."""
        char = self.text[at:at + 1]
        if char == ",":
            return self.blank(at + 1)
        if char != closing:
            raise self.refuse("brackets that are not read here", line - 1)
        return at

    def quoted(self, at: int) -> tuple[str, int]:
        """The text of the quoted scalar at offset AT, and the offset behind it."""
        quote, start = self.text[at], at
        out: list[str] = []
        at += 1
        while True:
            char = self.text[at:at + 1]
            if not char:
                raise self.refuse("a quote is not closed", self.line(start))
            if char == quote:
                if quote == "'" and self.text[at + 1:at + 2] == "'":
                    out.append("'")
                    at += 2
                    continue
                return "".join(out), at + 1
            if char == "\n":
                at = self._fold_quoted(out, at)
            elif char == "\\" and quote == '"':
                at = self._escape(out, at + 1)
            else:
                out.append(char)
                at += 1

    def _fold_quoted(self, out: list[str], at: int) -> int:
        """A line break within quotes is a blank, an empty line a line break."""
        found = _SPACE.match(self.text, at)
        end = found.end() if found else at
        while out and out[-1] in (" ", "\t"):
            out.pop()
        if self.text[end - 1] == "\n" and self.text.startswith(("---", "..."), end):
            raise self.refuse("a quote is not closed", self.line(at))
        out.append("\n" * (self.text.count("\n", at, end) - 1) or " ")
        return end

    def _escape(self, out: list[str], at: int) -> int:
        char = self.text[at:at + 1]
        if char == "\n":
            found = _CONTINUED.match(self.text, at)
            if found is None:
                raise self.refuse("an empty line within quotes", self.line(at))
            return found.end()
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
            return at + 1
        digits = self.text[at + 1:at + 1 + _HEX.get(char, 0)]
        if not re.fullmatch(r"[0-9a-fA-F]{2,8}", digits) or len(digits) != _HEX.get(char):
            raise self.refuse("an escape that is not read here",
                              self.line(at))
        code = int(digits, 16)
        out.append(chr(code) if code < 0x110000 else "\ufffd")
        return at + 1 + len(digits)
