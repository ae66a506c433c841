"""cloud-init as it is installed and configured in an image."""

from __future__ import annotations

from img_tools.rootfs import RootFS


class CloudInit:
    """To be written."""

    def __init__(self, root: RootFS) -> None:
        self._root = root
