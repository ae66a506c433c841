"""The content of files, to compare with what a package brought."""

from __future__ import annotations

import hashlib

from img_tools.rootfs import RootFS


def digest(root: RootFS, path: str, kind: str) -> str:
    """The digest of the file at PATH in hexadecimal, KIND as hashlib calls it; "" without a file.

    Nothing is trusted to it that an attacker could gain by: MD5 is what dpkg has.
    """
    try:
        found = hashlib.new(kind, usedforsecurity=False)
        with root.open(path) as file:
            while piece := file.read(1 << 20):
                found.update(piece)
        return found.hexdigest()
    except FileNotFoundError:
        return ""
