"""Which tests name which defect of img_check.sh; `docs/parity.md` lists them.

    python -m tests.parity        writes the list of tests in docs/parity.md anew
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TOP = Path(__file__).parent.parent
DOCUMENT = TOP / "docs/parity.md"
_NAMES = re.compile(r"Defects? ([\d, and]+)")
_ROW = re.compile(r"^\| (\d+) \| (.*?) \| (.*?) \|.*\|$", re.M)


def named() -> dict[int, list[str]]:
    """{number of a defect: tests whose docstring begins with it}, in the order of the files."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            head = isinstance(node, ast.FunctionDef) and _NAMES.match(ast.get_docstring(node) or "")
            if isinstance(node, ast.FunctionDef) and head:
                for number in re.findall(r"\d+", head[1]):
                    found[int(number)].append(f"{path.relative_to(TOP / 'tests')}::{node.name}")
    return found


def current() -> str:
    """docs/parity.md with the tests of each row as they are now."""
    tests = named()
    return _ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {row[3]} | "
                    + "<br>".join(f"`{name}`" for name in tests[int(row[1])]) + " |",
                    DOCUMENT.read_text("utf-8"))


def rows() -> list[int]:
    """The numbers that docs/parity.md has a row for."""
    return [int(row[1]) for row in _ROW.finditer(DOCUMENT.read_text("utf-8"))]


if __name__ == "__main__":
    DOCUMENT.write_text(current(), encoding="utf-8")
