"""What img-clean asks of dnf and yum: commands as actions, none of which asks a question.

rpm keeps a configuration file that was changed here and puts the new one beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from img_tools.actions import Run
from img_tools.packages.dnf_dialect import Dialect
from img_tools.rootfs import RootFS

LONGEST = 3600.0  # seconds; an upgrade may bring a kernel and its initramfs over a slow mirror

# In a mounted image a package's script may start its service all the same. It ends with the
# namespace, instead of staying behind on this machine.
_CONFINED = ("unshare", "--pid", "--fork")
_UNSHARE = "/usr/bin/unshare"


def act(root: RootFS, dialect: Dialect, *argv: str, why: str) -> Run:
    """The command ARGV of DIALECT, which answers yes to whatever it asks."""
    return Run((*_confined(root), dialect.command, "-y", "-q", *argv), why, LONGEST)


def _confined(root: RootFS) -> tuple[str, ...]:
    """What is put before a command in a mounted image; CentOS 6's unshare cannot fork yet."""
    able = root.top != "/" and root.is_file(_UNSHARE) and (
        b"--fork" in root.read_bytes(_UNSHARE, 1 << 20, head=True))
    return _CONFINED if able else ()


def upgrade(root: RootFS, dialect: Dialect, count: int) -> Iterator[Run]:
    """Install COUNT updates from metadata fetched just then."""
    if not dialect.refresh:
        yield act(root, dialect, "clean", "expire-cache", why="the updates of now, not of before")
    yield act(root, dialect, *dialect.refresh, "upgrade", why=f"{count} updates are pending")


def purge(root: RootFS, dialect: Dialect, *packages: str) -> Run:
    """Remove PACKAGES; configuration files that were changed stay as .rpmsave."""
    return act(root, dialect, "remove", *packages, why="not part of an image")
