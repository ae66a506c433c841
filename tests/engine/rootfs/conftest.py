"""A tree of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from img_tools.rootfs import RootFS
from tests.engine.rootfs.common import Tree
from tests.support import build


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """tree({path: what}) -> RootFS below tmp_path/image; tmp_path/outside holds a canary."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("CANARY")
    (tmp_path / "canary").write_text("CANARY")

    def make(files: dict[str, object]) -> RootFS:
        top = tmp_path / "image"
        top.mkdir(exist_ok=True)
        build(top, files)
        return RootFS(str(top))

    return make
