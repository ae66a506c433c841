"""The part of YAML that configuration files use, read without running or guessing anything.

Block and flow collections, plain, quoted and block scalars, comments, anchors and aliases. All
scalars are text. What is beyond that (tags of one's own, merge keys, complex keys, several
documents) raises NotUnderstood: half-understood configuration must not pass an image.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from img_tools.model import Undecided

MAX_DEPTH = 60  # of nested collections; configuration has fewer than ten
MAX_NODES = 200_000  # values, those that aliases repeat counted each time
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

_HEADER = re.compile(r"[|>](?P<how>[+-]?[1-9]?|[1-9][+-])(?:\s+#.*)?$")
_TAG = re.compile(r"!![a-z]+(?:\s+|$)")  # `!!binary |`: how to read what we leave as text
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_ANCHOR = re.compile(r"&([^\s\[\]{},]+)(?:\s+|$)")
_ALIAS = re.compile(r"\*([^\s\[\]{},]+)")
_COLON = re.compile(r":(?=\s|$)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_INDENT = re.compile(r" *")
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


def parse(text: str, source: str) -> Node:
    """TEXT as a tree; SOURCE names it in errors. Raises NotUnderstood."""
    return _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), source).document()


class _Reader:
    """Reads line by line, and by character within quotes and brackets.

    In `- key: value` the dash is overwritten by a blank once read, so that the rest is a block of
    its own; lengths never change, so offsets into `text` stay valid.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.at = 0
        self.lines = text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        if found := _CONTROL.search(text):
            raise self.refuse("a control character", text.count("\n", 0, found.start()))
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.depth = 0
        self.made = 0

    def refuse(self, what: str, line: int | None = None) -> NotUnderstood:
        number = self.at if line is None else line
        return NotUnderstood(f"{self.source} line {number + 1}: {what}; it cannot be judged")

    def count(self, nodes: int, line: int) -> None:
        """Keep aliases of aliases from growing without end."""
        self.made += nodes
        if self.made > MAX_NODES:
            raise self.refuse("too large", line)

    def document(self) -> Node:
        if self.next_line() and self.lines[self.at].rstrip() == "---":
            self.at += 1
        if not self.next_line():
            return Node(1)
        root = self.block(0)
        if self.next_line():
            raise self.refuse("not understood as YAML")
        return root

    def next_line(self) -> bool:
        """Go to the next line with content; False at the end of the document."""
        while self.at < len(self.lines):
            line = self.lines[self.at].strip()
            if line == "..." and not self.indent():
                self.at, end = self.at + 1, self.at
                if self.next_line():
                    raise self.refuse("several documents in one file", end)
                return False
            if line and not line.startswith("#"):
                return True
            self.at += 1
        return False

    def indent(self) -> int:
        line = self.lines[self.at]
        found = _INDENT.match(line)
        width = found.end() if found else 0
        if line[width:width + 1] == "\t":
            raise self.refuse("a tab in the indentation")
        return width

    # -- blocks ------------------------------------------------------------------------------

    def block(self, least: int) -> Node:
        """The value that begins on this line, which is indented by LEAST blanks or more."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.refuse("too deeply nested")
        try:
            width = self.indent()
            if width < least:
                raise self.refuse("wrongly indented")
            text = self.lines[self.at][width:]
            if text.startswith(("---", "? ")) or text == "?":
                raise self.refuse("YAML of a kind that is not read here")
            if self.is_item(text):
                return self.sequence(width)
            if self.key(width) is not None:
                return self.mapping(width)
            return self.value(width, least - 1)
        finally:
            self.depth -= 1

    @staticmethod
    def is_item(text: str) -> bool:
        return text.startswith("- ") or text.rstrip() == "-"

    def sequence(self, width: int) -> Node:
        first, items = self.at, []
        while self.next_line() and self.indent() == width and self.is_item(
                self.lines[self.at][width:]):
            line = self.lines[self.at]
            rest = line[width + 1:].lstrip(" ")
            if rest and not rest.startswith("#"):
                self.lines[self.at] = line[:width] + " " + line[width + 1:]
                if rest[0] in "|>&*!":
                    items.append(self.value(len(line) - len(rest), width))
                else:
                    items.append(self.block(width + 1))
            else:
                items.append(self.nested(width, width + 1))
        return Node(first + 1, items=tuple(items))

    def mapping(self, width: int) -> Node:
        first, pairs = self.at, []
        while self.next_line() and self.indent() == width:
            found = self.key(width)
            if found is None or self.is_item(self.lines[self.at][width:]):
                raise self.refuse("expected `key:`")
            key, column = found
            if key == "<<":
                raise self.refuse("a merge key (<<)")
            pairs.append((key, self.value(column, width, in_mapping=True)))
        if self.next_line() and self.indent() > width:
            raise self.refuse("wrongly indented")
        return Node(first + 1, pairs=tuple(pairs))

    def key(self, width: int) -> tuple[str, int] | None:
        """The key that this line has at column WIDTH, and the column behind its colon."""
        line = self.lines[self.at]
        if line[width] in "\"'":
            start = self.starts[self.at] + width
            key, end = self.quoted(start)
            colon = re.compile(r"[ \t]*:(?=\s|$)").match(line, end - self.starts[self.at])
            return (key, colon.end()) if colon else None
        if line[width] in "[]{},#&*!|>%@`:":
            return None
        found = _COLON.search(line, width)
        comment = _COMMENT.search(line, width)
        if found is None or (comment and comment.start() < found.start()):
            return None
        return line[width:found.start()].rstrip(), found.end()

    def nested(self, parent: int, least: int) -> Node:
        """What follows a bare `key:` or `-`: a deeper block, or nothing, which is null."""
        line = self.at
        self.at += 1
        if self.next_line() and self.indent() >= least:
            return self.block(least)
        return Node(line + 1)

    def value(self, column: int, parent: int, *, in_mapping: bool = False) -> Node:
        """The value from COLUMN of this line on, in a collection indented by PARENT blanks."""
        self.count(1, self.at)
        line, rest = self.at, self.lines[self.at][column:]
        column += len(rest) - len(rest.lstrip())
        if "\t" in self.lines[line][:column].lstrip(" "):
            raise self.refuse("a tab before a value")
        rest = rest.strip()
        if tag := _TAG.match(rest):
            rest, column = rest[tag.end():], column + tag.end()
        if anchor := _ANCHOR.match(rest):
            if rest[anchor.end():].startswith("&"):
                raise self.refuse("two anchors of one value")
            self.lines[line] = " " * len(self.lines[line][:column + anchor.end()]) + rest[
                anchor.end():]
            before = self.made
            node = self.value(column + anchor.end(), parent, in_mapping=in_mapping)
            if anchor[1] in self.anchors:
                raise self.refuse("an anchor given twice", line)
            self.anchors[anchor[1]] = (node, self.made - before)
            return node
        if not rest or rest.startswith("#"):
            return self.below(parent, in_mapping)
        if rest.startswith("!"):
            raise self.refuse("a tag (!...)")
        if rest[0] in "|>":
            return self.block_scalar(rest, parent)
        if rest[0] in "\"'[{*":
            node, end = self.flow(self.starts[line] + column)
            return self.ends_line(node, end)
        if rest[0] in "%@`,]}" or re.match(r"[-?:](\s|$)", rest):
            raise self.refuse("a value that is not read here")
        return self.plain(column, parent)

    def below(self, parent: int, in_mapping: bool) -> Node:
        """The value on the lines below; a sequence may stand as far left as its key."""
        line = self.at
        self.at += 1
        if self.next_line():
            width = self.indent()
            if width > parent:
                return self.block(parent + 1)
            if in_mapping and width == parent and self.is_item(self.lines[self.at][width:]):
                return self.sequence(width)
        return Node(line + 1)

    def ends_line(self, node: Node, end: int) -> Node:
        """NODE, after making sure that nothing but a comment follows it on its last line."""
        self.at = bisect.bisect_right(self.starts, end) - 1
        left = self.text[end:self.starts[self.at + 1] - 1]
        if left.strip() and not re.match(r"\s+#", left):
            raise self.refuse("text behind a value")
        self.at += 1
        return node

    def plain(self, column: int, parent: int) -> Node:
        line, parts, commented = self.at, [], False
        text = self.lines[self.at][column:]
        while True:
            bare = _COMMENT.sub("", text)
            if _COLON.search(bare):
                raise self.refuse("`key:` within a value")
            commented = bare != text
            parts.append(bare.strip())
            self.at += 1
            if commented or not self.continues(parent, parts):
                break
            text = self.lines[self.at].strip()
        joined = _fold(parts)
        return Node(line + 1, None if joined in NULLS else joined)

    def continues(self, parent: int, parts: list[str]) -> bool:
        """True when this line carries on a plain scalar; blank lines before it become parts."""
        start = self.at
        while self.at < len(self.lines) and not self.lines[self.at].strip():
            self.at += 1
        if self.at == len(self.lines) or self.indent() <= parent or self.lines[
                self.at].lstrip().startswith("#"):
            self.at = start
            return False
        if self.lines[self.at].startswith(("---", "...")):
            raise self.refuse("several documents in one file")
        parts.extend([""] * (self.at - start))
        return True

    def block_scalar(self, header: str, parent: int) -> Node:
        found = _HEADER.match(header)
        if found is None:
            raise self.refuse("a block scalar of a kind that is not read here")
        line, how = self.at, found["how"]
        digit = how.strip("+-")
        width = max(parent, 0) + int(digit) if digit else 0
        kept: list[str] = []
        self.at += 1
        while self.at < len(self.lines):
            text = self.lines[self.at]
            if text.strip(" "):
                inner = len(text) - len(text.lstrip(" "))
                width = width or inner
                if inner < width or inner <= parent:
                    break
            kept.append(text[width:] if width else "")
            self.at += 1
        body = "\n".join(kept)
        if header[0] == ">":
            body = _fold_block(kept)
        stripped = body.rstrip("\n")
        cut = self.at == len(self.lines) and bool(kept) and kept[-1] != ""  # no final line break
        tail = "" if "-" in how or not stripped or cut else "\n"
        if "+" in how:
            stripped, tail = body, "\n" if kept and self.at != len(self.lines) else ""
        return Node(line + 1, stripped + tail)

    # -- flow: brackets and quotes -----------------------------------------------------------

    def flow(self, at: int) -> tuple[Node, int]:
        """The value at offset AT, within brackets, and the offset behind it."""
        line = bisect.bisect_right(self.starts, at)
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
            node, end = self.flow_sequence(at, line) if char == "[" else self.flow_mapping(at, line)
            self.depth -= 1
            return node, end
        if char in ("&", "!", "|", ">", "%", "@", "`", "?") or not char:
            raise self.refuse("a value that is not read here", line - 1)
        found = re.compile(r"(?:[^,\[\]{}:#\n]|(?<!\s)#|:(?![\s,\[\]{}]))+").match(self.text, at)
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
        found = re.compile(r"(?:\s|(?<=\s)#[^\n]*)*").match(self.text, at)
        return found.end() if found else at

    def flow_sequence(self, at: int, line: int) -> tuple[Node, int]:
        items = []
        at = self.blank(at + 1)
        while self.text[at:at + 1] != "]":
            node, at = self.flow(at)
            items.append(node)
            at = self.comma(self.blank(at), "]", line)
        return Node(line, items=tuple(items)), at + 1

    def flow_mapping(self, at: int, line: int) -> tuple[Node, int]:
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
            at = self.comma(self.blank(at), "}", line)
        return Node(line, pairs=tuple(pairs)), at + 1

    def comma(self, at: int, closing: str, line: int) -> int:
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
                raise self.refuse("a quote is not closed", bisect.bisect_right(
                    self.starts, start) - 1)
            if char == quote:
                if quote == "'" and self.text[at + 1:at + 2] == "'":
                    out.append("'")
                    at += 2
                    continue
                return "".join(out), at + 1
            if char == "\n":
                at = self.fold_quoted(out, at)
            elif char == "\\" and quote == '"':
                at = self.escape(out, at + 1)
            else:
                out.append(char)
                at += 1

    def fold_quoted(self, out: list[str], at: int) -> int:
        """A line break within quotes is a blank, an empty line a line break."""
        found = re.compile(r"\s*").match(self.text, at)
        end = found.end() if found else at
        while out and out[-1] in (" ", "\t"):
            out.pop()
        if self.text[end - 1] == "\n" and self.text.startswith(("---", "..."), end):
            raise self.refuse("a quote is not closed", bisect.bisect_right(self.starts, at) - 1)
        out.append("\n" * (self.text.count("\n", at, end) - 1) or " ")
        return end

    def escape(self, out: list[str], at: int) -> int:
        char = self.text[at:at + 1]
        if char == "\n":
            found = re.compile(r"\n[ \t]*(?!\s)").match(self.text, at)
            if found is None:
                raise self.refuse("an empty line within quotes", bisect.bisect_right(
                    self.starts, at) - 1)
            return found.end()
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
            return at + 1
        digits = self.text[at + 1:at + 1 + _HEX.get(char, 0)]
        if not re.fullmatch(r"[0-9a-fA-F]{2,8}", digits) or len(digits) != _HEX.get(char):
            raise self.refuse("an escape that is not read here",
                              bisect.bisect_right(self.starts, at) - 1)
        code = int(digits, 16)
        out.append(chr(code) if code < 0x110000 else "\ufffd")
        return at + 1 + len(digits)


def _fold(parts: list[str]) -> str:
    """Lines of a plain scalar: a break is a blank, an empty line a break."""
    out, breaks = parts[0], 0
    for part in parts[1:]:
        if not part:
            breaks += 1
            continue
        out += ("\n" * breaks or " ") + part
        breaks = 0
    return out


def _fold_block(lines: list[str]) -> str:
    """Lines of a folded block scalar: as plain ones, but what is indented more stays as it is."""
    out, breaks, more = "", 0, True
    for index, line in enumerate(lines):
        if not line:
            breaks += 1
            continue
        indented = line[:1] in (" ", "\t")
        plain = not (more or indented) and index > 0
        out += ("\n" * breaks or " ") if plain else "\n" * (breaks + (1 if out else 0))
        out, breaks, more = out + line, 0, indented
    return out + "\n" * breaks
