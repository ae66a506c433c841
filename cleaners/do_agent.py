"""Remove DigitalOcean's agent

A clone gets the agent that its owner asks for. The packages are purged, then what they
leave is removed: repository, key, unit, directories and account.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase, Run
from img_tools.host import Host

PHASE = Phase.AGENT

PACKAGES = ("do-agent", "droplet-agent", "droplet-agent-keyring", "digitalocean-agent")
ACCOUNT = "do-agent"


def plan(host: Host) -> Iterator[Action]:
    """Yield the purge of what is installed, then the files and the account."""
    there = [name for name in PACKAGES if name in host.packages.installed]
    if there:
        yield host.packages.purge(*there)
    yield from residue.actions(host, "do-agent")
    if host.accounts.by_name(ACCOUNT):
        yield Run(("userdel", ACCOUNT), "the account that the agent ran as")
