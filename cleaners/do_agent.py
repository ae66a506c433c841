"""Remove DigitalOcean's agent

A clone gets the agent that its owner asks for. The packages are purged, then what they leave.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.AGENT

PACKAGES = ("do-agent", "droplet-agent", "droplet-agent-keyring", "digitalocean-agent")


def plan(host: Host) -> Iterator[Action]:
    """Yield the purge of what is installed, and the files."""
    there = [name for name in PACKAGES if name in host.packages.installed]
    if there:
        yield host.packages.purge(*there)
    yield from residue.actions(host, "do-agent")
