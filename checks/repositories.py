"""Packages come from the distribution's signed repositories, security updates too

Looks at every enabled source of packages: whether the security updates of this release are among
them (without, an image always looks up to date), whether packages are accepted unsigned, which
sources are not the distribution's own, and which installed packages come from none of them and so
never get an update. On a Droplet with apt it also looks for mirrors.digitalocean.com, which is
recommended.

Add what is missing, have unsigned sources signed (Signed-By, gpgcheck=1), and remove those that
only the build needed. A third-party source that the image's software needs may stay: it is a
warning, no failure, and none when the policy file has it in `allowed_repositories`.
"""

import re
from collections.abc import Iterator

from img_tools.host import Host, Repository
from img_tools.model import Finding, PackageRef, Undecided, fail, warn

CATEGORY = "packages"
CODES = (
    "no-repository", "no-security-repository", "no-vendor-mirror", "package-without-repository",
    "third-party-repository", "unsigned-repository",
)
REFERENCES = ("build-an-image: use official package repositories, keep mirrors.digitalocean.com",)

MIRROR = "mirrors.digitalocean.com"
LIMIT = 50  # packages named one by one
# Old kernels leave the archives while they are still installed; that is no reason for a warning.
_KERNEL = re.compile(r"(linux|kfreebsd)-(image|headers|modules|tools|kbuild|cloud-tools|buildinfo)"
                     r"(-[a-z]+)*-\d")


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every source that is missing, unsafe or foreign, then for packages."""
    sources = host.packages.repositories
    if not sources:
        yield fail("no-repository", "no package source is enabled: clones can install nothing and "
                   "get no updates", fix=host.advice("security"))
        return
    if host.os_release.version_id and not any(source.security for source in sources):
        yield fail("no-security-repository", "no enabled source carries the security updates of "
                   f"{host.os_release.pretty_name}: clones never get them",
                   fix=host.advice("security"))
    for source in sources:
        yield from _about(host, source)
    mirrored = any(MIRROR in source.uri for source in sources)
    if host.packages.name == "apt" and _is_droplet(host) and not mirrored:
        yield warn("no-vendor-mirror", f"{MIRROR} is not among the sources: packages load slower "
                   "on Droplets", path=sources[0].path,
                   fix=f"use http://{MIRROR}/{host.os_release.id} as the distribution's mirror")
    yield from _orphans(host)


def _about(host: Host, source: Repository) -> Iterator[Finding]:
    where = f"{source.uri} {source.suite}".strip()
    if source.unsigned:
        # Over plain HTTP whoever is on the way can replace a package that root installs.
        make = fail if re.match(r"(http|ftp):", source.uri) else warn
        yield make("unsigned-repository", f"packages from {where} are accepted without a signature "
                   f"({source.unsigned})", path=source.path, line=source.line,
                   fix=host.advice("sign"))
    if not source.official and not host.policy.allows_repository(source.uri):
        yield warn("third-party-repository", f"{where} is not one of the distribution's own "
                   f"({source.origin or 'it has no index that names an origin'})",
                   path=source.path, line=source.line,
                   fix="remove it if only the build needed it; if the image needs it, it may stay")


def _is_droplet(host: Host) -> bool:
    """True where DigitalOcean's own traces are: the running machine's vendor, its image's file."""
    if host.root.exists("/etc/cloud/digitalocean.info"):
        return True
    try:
        return host.live and "DigitalOcean" in host.root.read_text("/sys/class/dmi/id/sys_vendor")
    except (FileNotFoundError, Undecided):
        return False


def _orphans(host: Host) -> Iterator[Finding]:
    found = [item for item in host.packages.unavailable if not _KERNEL.match(item.name)]
    for item in found[:LIMIT]:
        yield warn("package-without-repository", f"{item.name} {item.version} comes from no "
                   "enabled source: clones get no updates of it",
                   package=PackageRef(item.name, item.version),
                   fix=f"enable the source it comes from, or {host.advice('remove', item.name)}")
    if len(found) > LIMIT:
        yield warn("package-without-repository", f"{len(found) - LIMIT} more packages come from "
                   "no enabled source", evidence={"count": len(found)},
                   fix="enable the sources they come from")
