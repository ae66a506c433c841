"""The release gets security updates for at least six more months

Compares today's date with the end of free security updates of the release, from a table that is
part of img-tools (Debian with LTS, Ubuntu without ESM). The image stays in the Marketplace for
years, and after that date every Droplet made from it stays open to what is found from then on.

Build on a newer release, or say in the submission how updates are provided.
"""

from collections.abc import Iterator
from datetime import timedelta

from img_tools.host import Host
from img_tools.model import Finding, Undecided, warn

CATEGORY = "release"
CODES = ("end-of-life", "end-of-life-soon")
REFERENCES = ("build-an-image: a release with security patches for a reasonable time",)

SOON = timedelta(days=182)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding when the end is past or near. Raises Undecided for an unknown release."""
    release = host.release
    if release is None:
        raise Undecided(f"{host.os_release.pretty_name} is not in the table of releases, so the "
                        "end of its security updates is not known")
    left = release.eol - host.today
    if left >= SOON:
        return
    when = (f"ended on {release.eol}" if left < timedelta(0)
            else f"end on {release.eol}, in {left.days} days")
    newer = [other.name for other in host.profile.releases
             if other.id == release.id and other.eol - host.today >= SOON]
    yield warn(
        "end-of-life" if left < timedelta(0) else "end-of-life-soon",
        f"free security updates of {release.name} {when}", path="/etc/os-release",
        evidence={"end_of_life": release.eol.isoformat()},
        fix=f"build the image on {' or '.join(newer) or 'another distribution'}",
    )
