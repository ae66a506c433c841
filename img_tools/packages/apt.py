"""apt and dpkg."""

from __future__ import annotations

from img_tools.rootfs import RootFS
from img_tools.runner import Runner
from img_tools.scratch import Scratch


class Apt:
    """To be written."""

    name = "apt"

    def __init__(self, root: RootFS, run: Runner, scratch: Scratch | None) -> None:
        self._root = root
        self._run = run
        self._scratch = scratch
