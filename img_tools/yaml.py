"""The part of YAML that configuration files use, read without running or guessing anything.

Block and flow collections, plain, quoted and block scalars, comments, anchors and aliases. All
scalars are text. What is beyond that (tags of one's own, merge keys, complex keys, several
documents) raises NotUnderstood: half-understood configuration must not pass an image.
"""

from __future__ import annotations

import re

from img_tools.yaml_flow import MAX_DEPTH, NULLS, FlowReader, Node, NotUnderstood

__all__ = ["Node", "NotUnderstood", "parse"]

_HEADER = re.compile(r"[|>](?P<how>[+-]?[1-9]?|[1-9][+-])(?:\s+#.*)?$")
_TAG = re.compile(r"!![a-z]+(?:\s+|$)")  # `!!binary |`: how to read what we leave as text
_ANCHOR = re.compile(r"&([^\s\[\]{},]+)(?:\s+|$)")
_COLON = re.compile(r":(?=\s|$)")
_COLON_QUOTED = re.compile(r"[ \t]*:(?=\s|$)")
_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_INDENT = re.compile(r" *")


def parse(text: str, source: str) -> Node:
    """TEXT as a tree; SOURCE names it in errors. Raises NotUnderstood."""
    return _Reader(text.removeprefix("\ufeff").replace("\r\n", "\n"), source).document()


class _Reader(FlowReader):
    """Reads line by line, and by character within quotes and brackets.

    In `- key: value` the dash is overwritten by a blank once read, so that the rest is a block of
    its own; lengths never change, so offsets into `text` stay valid.
    """

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text, source)
        self.lines = text.split("\n")

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
            colon = _COLON_QUOTED.match(line, end - self.starts[self.at])
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
        self.at = self.line(end)
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
