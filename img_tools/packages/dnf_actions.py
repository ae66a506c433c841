"""What img-clean asks of dnf and yum: commands as actions, none of which asks a question.

rpm keeps a configuration file that was changed here and puts the new one beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from img_tools.actions import Run
from img_tools.packages.dnf_dialect import Dialect
from img_tools.runner import Runner

LONGEST = 3600.0  # seconds; an upgrade may bring a kernel and its initramfs over a slow mirror

# In a mounted image a package's script may start its service all the same. It ends with the
# namespace, instead of staying behind on this machine.
_CONFINED = ("unshare", "--pid", "--fork", "--kill-child")


def act(run: Runner, dialect: Dialect, *argv: str, why: str) -> Run:
    """The command ARGV of DIALECT, which answers yes to whatever it asks."""
    confined = _CONFINED if run.top != "/" else ()
    return Run((*confined, dialect.command, "-y", "-q", *argv), why, LONGEST)


def upgrade(run: Runner, dialect: Dialect, count: int) -> Iterator[Run]:
    """Install COUNT updates from metadata fetched just then."""
    if not dialect.refresh:
        yield act(run, dialect, "clean", "expire-cache", why="the updates of now, not of before")
    yield act(run, dialect, *dialect.refresh, "upgrade", why=f"{count} updates are pending")


def purge(run: Runner, dialect: Dialect, *packages: str) -> Run:
    """Remove PACKAGES; configuration files that were changed stay as .rpmsave."""
    return act(run, dialect, "remove", *packages, why="not part of an image")
