"""The distribution and its release are ones the Marketplace accepts

Reads /etc/os-release, which is never executed, and looks ID and VERSION_ID up in the table of the
profile (`--profile`): the id must be the same, so that a derivative does not pass for what it is
like, and so must the release up to its point (on Ubuntu all of it). CentOS Linux 8 and CentOS
Stream 8 are told apart by name.

An image of another release is refused in review. Build on one of the releases that the finding
names. All other checks run nevertheless.
"""

from collections import defaultdict
from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, fail

CATEGORY = "release"
CODES = ("unsupported-release",)
REFERENCES = ("build-an-image: uses a supported distribution and release",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding when the profile does not accept the release."""
    system, release = host.os_release, host.release
    if release and host.profile.accepts(release):
        return
    numbered = f"VERSION_ID={system.version_id}" if system.version_id else "no VERSION_ID"
    yield fail(
        "unsupported-release",
        f"{system.pretty_name} (ID={system.id}, {numbered}) is not accepted by the profile "
        f"{host.profile.name}",
        path="/etc/os-release", evidence={"id": system.id, "version_id": system.version_id},
        fix=f"build the image on {_accepted(host)}",
    )


def _accepted(host: Host) -> str:
    """What to build on: this distribution's accepted releases, else the newest of each."""
    alive = [release for release in host.profile.releases if release.eol >= host.today]
    by_id = defaultdict(list)
    for release in alive or host.profile.releases:
        by_id[release.id].append(release.name)
    same = [name for os_id in by_id if os_id.partition("-")[0] == host.os_release.id
            for name in by_id[os_id]]
    return " or ".join(same or [names[-1] for names in by_id.values()])
