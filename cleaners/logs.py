"""Empty logs and remove old ones

A log that a service may have open is truncated in place, so that its inode, owner and mode stay;
rotated ones and the journal are removed. The loggers were quieted first (cleaner `quiet`), and
what was written meanwhile goes in the cleaner `final`.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.LOGS


def plan(host: Host) -> Iterator[Action]:
    """Yield what goes."""
    yield from residue.actions(host, "logs", spared=host.policy.spares_log)
