"""The installed command over an image, with checks of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BASE
from tests.engine.cli.common import COMMAND, PLUGINS, Run, call
from tests.support import build, needs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with an image, plugins and room for reports."""
    build(tmp_path, {"/out": {}})
    build(tmp_path, {f"/image{name}": what for name, what in BASE.items()})
    build(tmp_path, {f"/plugins{name}": what for name, what in PLUGINS.items()})
    return tmp_path


@pytest.fixture
def arguments(place: Path) -> Callable[..., list[str]]:
    """arguments("good", "bad", more...) -> the command over the image with these checks alone."""
    needs(os.geteuid() == 0, "root")

    def make(*checks: str, more: Sequence[str] = ()) -> list[str]:
        return [COMMAND, "--root", str(place / "image"), "--plugin-dir", str(place / "plugins"),
                "--only", ",".join(checks), *more]

    return make


@pytest.fixture
def run(arguments: Callable[..., list[str]]) -> Run:
    """run("good", "bad", more=[...]) -> how it ended."""

    def make(*checks: str, more: Sequence[str] = (), **options: Any
             ) -> subprocess.CompletedProcess[str]:
        return call(arguments(*checks, more=more), **options)

    return make
