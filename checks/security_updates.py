"""No security update is pending

Looks for security updates that the image lacks, against indexes fetched just now into a private
directory (with `--no-refresh`: those on the disk). An update counts by the archive that offers it
(Debian-Security, a suite named *-security, Ubuntu's ESM), on the RHEL family by the advisories that
its repository publishes, never by its name. A fix that a later ordinary version has taken over
counts too, and so does what a plain upgrade passes over: packages kept back, on hold, pinned,
excluded or phased. dnf and yum do not say beforehand what they would pass over: that counts as
pending, and `dnf upgrade` names what stands in its way. A repository without advisories (CentOS 7,
CentOS Stream) cannot prove that an update is no security update: there every pending update counts.

Every clone starts with the holes of its image. While no source carries the security updates of the
release, none is ever found pending: then this check cannot decide. `img-clean --yes --only
package-upgrade` installs what an upgrade would, for the rest a command is shown; then run
img-check again, since new ones come every day.
"""

from collections.abc import Iterator

from img_tools.host import Host, Update
from img_tools.model import Finding, PackageRef, Undecided, fail

CATEGORY = "packages"
REFERENCES = ("build-an-image: all security updates are installed",)
EARLY = True  # waits for the network

_WHY = {
    "pending": "",
    "kept-back": ": apt keeps it back, since other packages would have to change",
    "held": ": the package is on hold",
    "pinned": ": a pin or an exclude keeps it out",
    "phased": ": the distribution still phases it in",
}
CODES = tuple(f"security-{what}-{why}" for what in ("update", "unproven") for why in _WHY)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every package that lacks a security update."""
    packages = host.packages
    for update in packages.updates.all:
        if update.security:
            yield fail(
                f"security-{'unproven' if update.unproven else 'update'}-{update.reason}",
                f"{update.name} {update.installed} {_lacks(update)}{_WHY[update.reason]}",
                package=PackageRef(update.name, update.installed, update.candidate),
                evidence=_evidence(update), fix=_fix(host, update),
            )
    if host.os_release.version_id and not any(item.security for item in packages.repositories):
        raise Undecided("no enabled source carries the security updates of this release, so none "
                        f"can be found pending: {packages.advice('security')}")


def _lacks(update: Update) -> str:
    if update.unproven:
        return (f"can be upgraded to {update.candidate}, which counts as a security update: "
                f"{update.origin} publishes no advisories that would tell")
    by = "; ".join([update.origin, *update.advisories])
    return f"lacks the security update {update.candidate} ({by})"


def _evidence(update: Update) -> dict[str, str]:
    found = {"origin": update.origin}
    return found | {"advisories": ", ".join(update.advisories)} if update.advisories else found


def _fix(host: Host, update: Update) -> str:
    """What a plain upgrade installs the cleaner installs; the rest needs somebody to decide."""
    if update.reason == "pending":
        return host.clean_command("package-upgrade")
    return host.packages.remedy(update)
