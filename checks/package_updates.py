"""Every package is up to date

Looks for updates other than security updates (see security-updates): a newer version that a source
offers, whether or not a plain upgrade would install it. Users of the image would have to install
them on every Droplet.

`img-clean --yes --only package-upgrade` installs them; for those that are on hold, pinned or kept
back a command is shown. An update that is still being phased in may wait.
"""

from collections.abc import Iterator

from img_tools.host import Host, Update
from img_tools.model import Finding, PackageRef, warn

CATEGORY = "packages"
REFERENCES = ("build-an-image: packages are updated",)
EARLY = True  # waits for the same indexes as security-updates

_WHY = {
    "pending": "can be upgraded",
    "kept-back": "is kept back",
    "held": "is on hold",
    "pinned": "is kept by a pin or an exclude",
    "phased": "waits until the distribution has phased the update in",
}
CODES = tuple(f"update-{why}" for why in _WHY)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every package with an update that is not a security update."""
    for update in host.packages.updates.all:
        if not update.security:
            yield warn(
                f"update-{update.reason}",
                f"{update.name} {update.installed} {_WHY[update.reason]}: {update.candidate} "
                f"is offered by {update.origin}",
                package=PackageRef(update.name, update.installed, update.candidate),
                evidence={"origin": update.origin}, fix=_fix(host, update),
            )


def _fix(host: Host, update: Update) -> str:
    """What a plain upgrade installs the cleaner installs; the rest needs somebody to decide."""
    if update.reason == "pending":
        return host.clean_command("package-upgrade")
    return host.packages.remedy(update)
