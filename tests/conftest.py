"""Fixtures for every ring: an image made of a dict, and commands that never run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from img_tools.host import Host
from img_tools.rootfs import RootFS
from tests.support import FakeRunner, build

Image = Callable[..., Host]
RINGS = [Path(__file__).parent / name
         for name in ("rootfs", "container", "packaging", "integrations", "vm", "erase")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs root and trees, by the directory it is in."""
    for item in items:
        if any(ring in item.path.parents for ring in RINGS):
            item.add_marker("rootfs")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """image({path: content, ...}, commands={argv: output}) -> Host on a tree in tmp_path.

    See tests.support.build for what a content may be. A minimal Debian 12 is there already unless
    the path is given as None.
    """

    def make(
        files: Mapping[str, object] | None = None,
        commands: Mapping[tuple[str, ...], object] | None = None,
        refresh: bool = True,
    ) -> Host:
        top = tmp_path / "image"
        os.makedirs(top, exist_ok=True)
        build(top, {**BASE, **(files or {})})
        return Host(RootFS(str(top)), FakeRunner(commands or {}), refresh=refresh)

    return make


BASE: Mapping[str, object] = {
    "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
                   "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n",
    "/etc/shadow": "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n",
    "/root": {},
}
