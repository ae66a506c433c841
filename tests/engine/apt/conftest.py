"""The backend over a tree and an apt that only talks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from img_tools.packages.apt import Apt
from img_tools.rootfs import RootFS
from img_tools.scratch import Scratch
from tests.engine.apt.common import (
    LISTED,
    MAIN,
    SECURITY,
    Make,
    TalkingApt,
    stanza,
)
from tests.support import Fifo, build


@pytest.fixture
def apt(tmp_path: Path) -> Make:
    """apt(files, policy, ...) -> (backend, runner) over a bookworm with main and security."""

    def make(files: Mapping[str, object] | None = None, policy: str = "", *,
             refresh: bool = False, **answers: object) -> tuple[Apt, TalkingApt]:
        top = tmp_path / "image"
        os.makedirs(top, exist_ok=True)
        build(top, {
            "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
            "/etc/apt/sources.list": MAIN + SECURITY,
            "/var/lib/dpkg/status": stanza("toy", "1.0"),
            "/dev/null": Fifo(), "/tmp": {}, **LISTED, **(files or {}),
        })
        runner = TalkingApt(str(top), policy, **answers)  # type: ignore[arg-type]
        root = RootFS(str(top))
        return Apt(root, runner, Scratch(root), refresh=refresh), runner

    return make
