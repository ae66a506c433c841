"""What img-clean asks of apt: commands as actions, none of which asks a question."""

from __future__ import annotations

import re
from collections.abc import Iterator

from img_tools.actions import Action, Run
from img_tools.packages.apt_errors import ask
from img_tools.runner import Runner

LOCK_WAIT = 300  # seconds that apt waits for another one's lock (apt 1.9.11 and later)
LONGEST = 3600.0  # seconds; an upgrade may bring a kernel and its initramfs over a slow mirror

# needrestart ignores DEBIAN_FRONTEND and would stop an unattended upgrade with a dialogue.
_ENVIRONMENT = (
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("NEEDRESTART_SUSPEND", "1"),
    ("APT_LISTCHANGES_FRONTEND", "none"),
    ("UCF_FORCE_CONFFOLD", "1"),
)
_OPTIONS = (
    "-q", "-y",
    "-o", f"DPkg::Lock::Timeout={LOCK_WAIT}",
    "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold",  # a file that was changed here stays as it is
)
_REMOVED = re.compile(r"^Remv (\S+)", re.M)


# In a mounted image a package's script may start its service all the same (an init script does,
# when no systemd runs). It ends with the namespace, instead of staying behind on this machine.
_CONFINED = ("unshare", "--pid", "--fork")


def _apt(run: Runner, *argv: str, why: str) -> Run:
    confined = _CONFINED if run.top != "/" else ()
    return Run((*confined, "apt-get", *_OPTIONS, *argv), why, LONGEST, _ENVIRONMENT)


def upgrade(run: Runner, count: int) -> Iterator[Action]:
    """Fetch the indexes and install COUNT updates, new dependencies with them."""
    yield _apt(run, "update", why="the indexes that the updates are chosen from")
    yield _apt(run, "dist-upgrade", why=f"{count} updates are pending")


def autoremove(run: Runner) -> Iterator[Action]:
    """Remove what was installed for a package that is gone, if there is anything."""
    done = ask(run, "apt-get", "-q", "-s", "-o", "Debug::NoLocking=true",
               "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=",
               "autoremove", ok=(0,))
    unneeded = _REMOVED.findall(done.stdout)
    if unneeded:
        yield _apt(run, "autoremove", "--purge",
                   why=f"nothing needs {', '.join(unneeded)} any more")


def purge(run: Runner, *packages: str) -> Action:
    """Remove PACKAGES with their configuration."""
    return _apt(run, "purge", *packages, why="not part of an image")
