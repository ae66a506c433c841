"""Install all updates

A dist-upgrade of apt, an upgrade of dnf or yum, without questions: configuration files that were
changed here stay, needrestart restarts nothing, and a lock held by another package manager is
waited for.
"""

from collections.abc import Iterator

from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.UPGRADE


def plan(host: Host) -> Iterator[Action]:
    """Yield the upgrade, if there is anything to install. Raises Undecided if another is at work.

    Asked again at the end: apt that has waited in vain for a lock does not say who holds it.
    """
    yield from host.packages.upgrade()
    host.packages.require_idle()
