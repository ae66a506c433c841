"""What the image says it is: os-release(5), and what CentOS 6 has instead."""

from __future__ import annotations

import os
from dataclasses import dataclass

from img_tools.model import Undecided
from img_tools.rootfs import RootFS

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
CENTOS_6 = "/etc/centos-release"  # which has no os-release yet


@dataclass(frozen=True, slots=True)
class OsRelease:
    """os-release(5); `version_id` as written ("12", "24.04"), None when absent as on testing."""

    id: str
    version_id: str | None
    pretty_name: str
    like: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """ID, then every ID_LIKE: what the distribution is, from nearest to farthest."""
        return (self.id, *self.like)


def read(root: RootFS) -> OsRelease:
    """os-release(5) through distro, which parses and never sources it.

    Raises Undecided without one that can be understood.

    distro's own root_dir follows an absolute link to the host's file, hence the resolved path; and
    it opens whatever is there, hence the look at it first (a FIFO would hang it).
    """
    path = next((path for path in OS_RELEASE if root.stat(path, follow=True)), None)
    if path is None and root.is_file(CENTOS_6):
        return _centos_6(root)
    if path is None:
        raise Undecided("there is no /etc/os-release: is this the root of an image?")
    root.read_bytes(path, limit=1 << 16)
    from distro import LinuxDistribution  # as long as a tenth of --list

    try:
        found = LinuxDistribution(
            os_release_file=root.host_path(path),
            include_lsb=False, include_uname=False, include_oslevel=False,
        ).os_release_info()
    except ValueError as error:  # not UTF-8, or a quote that is never closed
        raise Undecided(f"{path} cannot be understood: {error}") from None
    if not found.get("id"):
        raise Undecided(f"{path} has no ID")
    return OsRelease(
        id=found["id"],
        version_id=found.get("version_id") or None,
        pretty_name=found.get("pretty_name") or found["id"],
        like=tuple(found.get("id_like", "").split()),
    )


def _centos_6(root: RootFS) -> OsRelease:
    """What /etc/centos-release says, through distro."""
    from distro import LinuxDistribution  # as above

    root.read_bytes(CENTOS_6, limit=1 << 16)
    found = LinuxDistribution(
        distro_release_file=root.host_path(CENTOS_6), os_release_file=os.devnull,
        include_lsb=False, include_uname=False, include_oslevel=False)
    if not found.version():
        raise Undecided(f"{CENTOS_6} names no release")
    return OsRelease("centos", found.version(), found.name(pretty=True), ("rhel", "fedora"))
