import pytest

from tests.support import Link, carried_out, check

ID = "0123456789abcdef0123456789abcdef\n"
PATH, DBUS = "/etc/machine-id", "/var/lib/dbus/machine-id"


@pytest.mark.parametrize("files", [
    {PATH: ID, DBUS: ID}, {}, {PATH: "junk"}, {PATH: Link("/opt/id"), "/opt/id": ID},
    {PATH: ID, DBUS: Link("/opt/id"), "/opt/id": ID},
])
def test_an_empty_file_and_no_copy_are_left(image, files):
    host = image({"/etc": {}, **files})
    carried_out("machine-id", host)
    assert check("machine-id", host) == []
    entry = host.root.stat(PATH)
    assert entry.is_file
    assert entry.size == 0
    assert host.root.stat(DBUS) is None


def test_what_is_right_stays(image):
    files = {PATH: "uninitialized\n", DBUS: Link(PATH)}
    assert carried_out("machine-id", image(files)) == []
