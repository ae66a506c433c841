"""YAML files of the image, read by PyYAML as cloud-init reads them, with the line of every value.

What cloud-init could not load either, and what only an attack needs (endless nesting, aliases of
aliases), raises NotUnderstood: half-understood configuration must not pass an image.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from img_tools.model import Undecided
from img_tools.rootfs import RootFS

if TYPE_CHECKING:
    import yaml

LIMIT = 1 << 20  # bytes of a file
MAX_DEPTH = 60  # of nested collections; configuration has fewer than ten
MAX_NODES = 50_000  # values, those that aliases repeat counted each time
_TAG = "tag:yaml.org,2002:"


class NotUnderstood(Undecided):
    """The text is not YAML, or not of a kind that configuration is written in."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the line it begins on: a scalar (text), a sequence (items) or a mapping (pairs).

    The text is str() of what PyYAML makes of the scalar: `yes` is "True", null is None. Pairs keep
    their order and their duplicates; merged ones (`<<`) come first, so that a pair of the mapping
    itself wins.
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


def read(root: RootFS, path: str) -> Node:
    """The file PATH. Raises FileNotFoundError, Unreadable, also when it is large, NotUnderstood."""
    text = root.read_text(path, LIMIT)
    if text.startswith("## template: jinja") and re.search(r"\{[{%]", text):
        raise NotUnderstood(f"{path} is a template; what it becomes cannot be judged")
    return parse(text, path)


def parse(text: str, source: str) -> Node:
    """TEXT as a tree; SOURCE names it in errors, which show nothing of it. Raises NotUnderstood."""
    import yaml  # here, since it takes longer to import than most checks to run

    loader_class = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    # Looked for first, because where the loaders report it differs: in bytes or in characters.
    if strange := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, strange.start()) + 1
        raise NotUnderstood(f"{source} line {line}: no YAML, for it has a control character or "
                            "is not UTF-8; it cannot be judged")
    try:
        loader = loader_class(text)
        try:
            root = loader.get_single_node()
            return _Tree(loader, source).node(root) if root else Node(1)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source} line {mark.line + 1}" if mark else source
    except (yaml.YAMLError, RecursionError):
        where = source
    raise NotUnderstood(f"{where}: not understood as YAML; it cannot be judged")


class _Tree:
    """Makes our nodes of those of LOADER, as its constructor would make Python objects.

    The constructor itself says neither lines nor duplicates, and follows aliases without end.
    Nodes of the library are Any here: its stubs leave out `id`.
    """

    def __init__(self, loader: yaml.SafeLoader | yaml.CSafeLoader, source: str) -> None:
        self.loader: Any = loader
        self.source = source
        self.made = 0

    def node(self, node: Any, depth: int = 0) -> Node:
        self.made += 1
        if depth > MAX_DEPTH or self.made > MAX_NODES:
            raise self.refuse(node, "too deeply nested" if depth > MAX_DEPTH else "too large")
        line = node.start_mark.line + 1
        if node.id == "scalar":
            return Node(line, self.text(node))
        if node.tag != _TAG + ("map" if node.id == "mapping" else "seq"):
            raise self.refuse(node, "a tag (!...) of a kind that is not read here")
        if node.id == "sequence":
            return Node(line, items=tuple(self.node(item, depth + 1) for item in node.value))
        merged: list[tuple[str, Node]] = []
        own: list[tuple[str, Node]] = []
        for key, value in node.value:
            below = self.node(value, depth + 1)
            if key.tag == _TAG + "merge":
                merged += self.merged(value, below)
            elif key.id == "scalar":
                own.append((self.text(key) or "", below))
            else:
                raise self.refuse(key, "a key that is a list or a mapping")
        twice = Counter(name for name, _ in merged) - Counter({name for name, _ in merged})
        if twice.keys() - {name for name, _ in own}:  # github.com/yaml/pyyaml/issues/953
            raise self.refuse(node, "a key merged (<<) twice, which releases of PyYAML differ on")
        return Node(line, pairs=(*merged, *own))

    def merged(self, node: Any, value: Node) -> Iterator[tuple[str, Node]]:
        """The pairs that `<<: VALUE` adds."""
        for mapping in (value,) if value.items is None else value.items:
            if mapping.pairs is None:
                raise self.refuse(node, "a merge (<<) of what is no mapping")
            yield from mapping.pairs

    def text(self, node: Any) -> str | None:
        try:
            value = self.loader.construct_object(node)
        except Exception:  # a date without such a day, and whatever else `!!int x` brings about
            raise self.refuse(node, "a value that is not what its tag says") from None
        if isinstance(value, dict | list | set):
            raise self.refuse(node, "a value that is not what its tag says")
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        return None if value is None else str(value)

    def refuse(self, node: Any, what: str) -> NotUnderstood:
        line = node.start_mark.line + 1
        return NotUnderstood(f"{self.source} line {line}: {what}; it cannot be judged")
