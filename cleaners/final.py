"""Empty the logs once more

Between the cleaner `logs` and this one minutes may have passed, in which sshd and others wrote.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase
from img_tools.host import Host

PHASE = Phase.FINAL


def plan(host: Host) -> Iterator[Action]:
    """Yield the logs that were written again."""
    yield from residue.actions(host, "logs", spared=host.policy.spares_log)
