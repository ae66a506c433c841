"""Remove what makes this machine itself: random seed, keys of services

systemd saves the seed again when it goes down, so the service that does is stopped first and what
it writes then is removed. Identities of products are only reported by `img-check`: their vendors
alone know what depends on them.
"""

from collections.abc import Iterator

from img_tools import residue
from img_tools.actions import Action, Phase, Run
from img_tools.host import Host

PHASE = Phase.IDENTITY

SEED_SERVICES = ("systemd-random-seed.service", "urandom.service")


def plan(host: Host) -> Iterator[Action]:
    """Yield the stop of the service that saves the seed, then every identity."""
    if host.live:
        for command in host.services.stopping(
                *filter(host.services.active, SEED_SERVICES)):
            yield Run(command, "would save the random seed at shutdown")
    yield from residue.actions(host, "identity")
