"""What DigitalOcean's cleanup.sh leaves on the disk of the build that img-clean leaves nothing on.

Both clean the same machine, and the same search reads both disks: see upstream.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.vm.story import Story

pytestmark = pytest.mark.may_skip("DigitalOcean's script is no part of this project")

DOCUMENTED = {"reported"}  # see docs/residues.md, topic temp-files
# Where canaries were planted and whose identity was looked for, and how many the script leaves at
# least. It leaves more: most of what it deletes or truncates is still on the disk, but that is
# chance, as its zeros are dropped from memory before they are written.
CLASSES: Mapping[str, tuple[set[str], int]] = {
    "files": ({"tmp", "var-tmp", "package", "crash", "mail", "editor", "dpkg-old", "kept-by-dpkg",
               "credential-secret", "user-data"}, 6),
    "users' keys": ({"private-key", "known-hosts", "key-of-anna"}, 3),
    "logs": ({"access-log", "app-log", "rotated-log", "old-log", "login-of-nobody",
              "journal-and-syslog"}, 1),
    "journal": ({"journal"}, 1),
    "history": ({"shell-history", "client-history", "history-of-anna"}, 2),
    "deleted data": ({"deleted-data", "deleted-name", "deleted-link"}, 1),
    "swap": ({"swap"}, 1),
    "host keys": ({"host-key"}, 0),
    "machine-id": ({"machine-id"}, 1),
    "random seed": ({"random-seed"}, 1),
    "lease": ({"lease"}, 1),
}


@pytest.fixture
def theirs(told: Story) -> set[str]:
    if told.theirs is None:
        pytest.skip("CLEANUP_SH names no script of DigitalOcean")
    return {*told.theirs}


def test_every_canary_is_of_a_class(told: Story) -> None:
    """The client of Debian 13 keeps no lease."""
    classes = set().union(*(places for places, _ in CLASSES.values()))
    assert told.planted - DOCUMENTED == classes - ({"lease"} - told.planted)


def test_cleanup_sh_leaves_some_of_each_class_and_img_clean_nothing(
    told: Story, theirs: set[str], record_property: Callable[[str, object], None]
) -> None:
    planted = {name: places & told.on_disk.keys() for name, (places, _) in CLASSES.items()}
    left = {name: len(places & theirs) for name, places in planted.items()}
    record_property(
        f"left by cleanup.sh on {told.before['platform']['pretty_name']}",
        ", ".join(f"{name} {left[name]} of {len(places)}" for name, places in planted.items()))
    for name, (places, floor) in CLASSES.items():
        assert left[name] >= min(floor, len(planted[name])), name
        assert not places & told.left.keys(), name
