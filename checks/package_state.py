"""Every package is installed whole and can be upgraded

Looks for packages that an installation left half-way (unpacked, half-configured, to be
reinstalled), an interrupted package manager, unmet dependencies, and packages on hold.

A package that is not configured does not work on the clones, and the next upgrade there stops at
it. A hold is inherited too: its package never gets an update again. Repair with the command shown.
"""

from collections.abc import Iterator

from img_tools.host import Host
from img_tools.model import Finding, PackageRef, fail, warn

CATEGORY = "packages"
CODES = (
    "dpkg-interrupted", "held", "installed-twice", "not-installed-whole", "reinst-required",
    "triggers-pending", "unmet-dependency",
)
REFERENCES = ("build-an-image: packages are updated",)


def check(host: Host) -> Iterator[Finding]:
    """Yield a finding for every package in a state it should not be left in."""
    packages = host.packages
    packages.require_idle()
    for item in packages.installed.values():
        subject = PackageRef(item.name, item.version)
        if item.held:
            yield warn("held", f"{item.name} {item.version} is on hold: clones never upgrade it",
                       package=subject, fix=host.advice("unhold", item.name))
        if item.state == "reinst-required":
            yield fail("reinst-required", f"{item.name} {item.version} is damaged and must be "
                       "reinstalled", package=subject,
                       fix=host.advice("reinstall", item.name))
        elif item.state.startswith("triggers-"):
            yield warn("triggers-pending", f"{item.name} {item.version} has work left to do "
                       f"({item.state})", package=subject, fix=host.advice("repair"))
        elif item.state != "installed":
            yield fail("not-installed-whole", f"{item.name} {item.version} is {item.state}: its "
                       "installation did not end", package=subject, fix=host.advice("repair"))
    for problem in packages.problems:
        yield fail(problem.code, problem.message, fix=host.advice("repair"),
                   package=PackageRef(problem.package) if problem.package else None)
