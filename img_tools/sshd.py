"""The OpenSSH server's configuration, read from its files."""

from __future__ import annotations

from img_tools.rootfs import RootFS


class SshdConfig:
    """To be written."""


def read(root: RootFS) -> SshdConfig:
    """To be written."""
    return SshdConfig()
