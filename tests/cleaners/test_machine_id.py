import pytest

from img_tools.actions import Phase, Write
from img_tools.model import Undecided
from img_tools.plugins import load
from tests.support import Fifo, File, Link, carried_out, check, mended_by, plan

ID = "0123456789abcdef0123456789abcdef\n"
PATH, DBUS = "/etc/machine-id", "/var/lib/dbus/machine-id"


@pytest.mark.parametrize("files", [
    {PATH: ID, DBUS: ID}, {}, {PATH: "junk"}, {PATH: Link("/opt/id"), "/opt/id": ID},
    {PATH: ID, DBUS: Link("/opt/id"), "/opt/id": ID}, {PATH: Fifo()}, {PATH: Link("machine-id")},
    {PATH: File(size=1 << 40)},
])
def test_an_empty_file_and_no_copy_are_left(image, files):
    """Cleanup defect 8: upstream leaves the machine-id.

    Pitfalls 1, 2, 4: never absent, never the same on two clones, no copy to come back from.
    """
    host = image({"/etc": {}, **files})
    assert {mended_by(finding) for finding in check("machine-id", host)} == {"machine-id"}
    carried_out("machine-id", host)
    assert check("machine-id", host) == []
    entry = host.root.stat(PATH)
    assert entry.is_file
    assert entry.size == 0
    assert host.root.stat(DBUS) is None


def test_nothing_is_written_that_makes_a_first_boot_of_it(image):
    """Pitfall 3: `uninitialized` would have systemd enable services by their presets."""
    for action in plan("machine-id", image({"/etc": {}})):
        assert isinstance(action, Write)
        assert action.content == ""


def test_what_is_right_stays(image):
    files = {PATH: "uninitialized\n", DBUS: Link(PATH)}
    assert carried_out("machine-id", image(files)) == []


def test_what_a_link_led_to_stays(image):
    host = image({PATH: Link("/opt/id"), "/opt/id": ID})
    carried_out("machine-id", host)
    assert host.root.read_text("/opt/id") == ID


def test_one_that_is_mounted_over_the_real_one_is_not_emptied_in_its_place(image):
    host = image({PATH: ID})
    host.volatile = frozenset({host.root.stat(PATH).dev})
    with pytest.raises(Undecided, match="umount"):
        plan("machine-id", host)


def test_it_comes_after_all_that_may_write_one(image):
    """Pitfall 5: packages, D-Bus and systemd write the id again."""
    phases = {plugin.id: plugin.phase for plugin in load("img_tools.cleaners", "plan")}
    assert phases["machine-id"] == Phase.IDENTITY
    assert {name for name, phase in phases.items() if phase > Phase.IDENTITY} == {
        "free-space", "final", "ssh-keys", "ssh-host-keys"}


def test_plan_names_the_file_once(image):
    assert [action.path for action in plan("machine-id", image({PATH: ID}))] == [PATH]
