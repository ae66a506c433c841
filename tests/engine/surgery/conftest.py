"""A tree to be cut, and what lies outside of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from img_tools.rootfs import RootFS
from img_tools.surgery import Surgeon
from tests.engine.surgery.common import CANARY
from tests.support import build


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the image, with a file that must stay."""
    build(tmp_path, {"/outside/canary": CANARY, "/outside/sub/deep": CANARY})
    return tmp_path / "outside"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    build(tmp_path, {"/image/tmp": {}, "/image/etc": {}})
    return tmp_path / "image"


@pytest.fixture
def surgeon(top: Path) -> Iterator[Surgeon]:
    with Surgeon(RootFS(str(top))) as one:
        yield one
