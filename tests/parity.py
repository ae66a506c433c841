"""Which tests name which defect of img_check.sh and cleanup.sh; `docs/parity.md` lists them.

    python -m tests.parity        writes the list of tests in docs/parity.md anew
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TOP = Path(__file__).parent.parent
DOCUMENT = TOP / "docs/parity.md"
_NAMES = re.compile(r"(Cleanup d|D)efects? ([\d, and]+)")
_ROW = re.compile(r"^\| (C?\d+) \| (.*?) \| (.*?) \|.*\|$", re.M)


def named() -> dict[str, list[str]]:
    """{defect: tests whose docstring begins with it}, in the order of the files.

    "Defect 3" of img_check.sh is "3" here, "Cleanup defect 3" of cleanup.sh "C3".
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            head = isinstance(node, ast.FunctionDef) and _NAMES.match(ast.get_docstring(node) or "")
            if isinstance(node, ast.FunctionDef) and head:
                script = "" if head[1] == "D" else "C"
                for number in re.findall(r"\d+", head[2]):
                    found[script + number].append(f"{path.relative_to(TOP / 'tests')}::{node.name}")
    return found


def current() -> str:
    """docs/parity.md with the tests of each row as they are now."""
    tests = named()
    return _ROW.sub(lambda row: f"| {row[1]} | {row[2]} | {row[3]} | "
                    + "<br>".join(f"`{name}`" for name in tests[row[1]]) + " |",
                    DOCUMENT.read_text("utf-8"))


def rows() -> list[str]:
    """The defects that docs/parity.md has a row for."""
    return [row[1] for row in _ROW.finditer(DOCUMENT.read_text("utf-8"))]


if __name__ == "__main__":
    DOCUMENT.write_text(current(), encoding="utf-8")
