import pytest

from img_tools.model import Undecided
from tests.support import Fifo, File, Link, check, codes, mended_by

ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize("content", ["", "uninitialized\n", "uninitialized"])
def test_an_empty_one_is_right(image, content):
    """Defect 23: upstream does not look at the machine-id."""
    assert check("machine-id", image({"/etc/machine-id": content})) == []


@pytest.mark.parametrize("content", [f"{ID}\n", ID, ID.upper()])
def test_an_id_is_not(image, content):
    """Defect 23: upstream does not look at the machine-id."""
    (finding,) = check("machine-id", image({"/etc/machine-id": content}))
    assert (finding.status, finding.code) == ("fail", "machine-id")
    assert mended_by(finding) == "machine-id"
    assert ID not in repr(finding).lower()


@pytest.mark.parametrize("what", [None, Link("/nowhere")])
def test_none_at_all_may_not_boot(image, what):
    (finding,) = check("machine-id", image({"/etc/machine-id": what}))
    assert (finding.status, finding.code) == ("fail", "machine-id-absent")
    assert mended_by(finding) == "machine-id"


@pytest.mark.parametrize("what", [{}, Fifo(), "not an id", ID + ID, File(size=1 << 40),
                                  Link("machine-id")])
def test_anything_else_is_invalid(image, what):
    assert codes(check("machine-id", image({"/etc/machine-id": what}))) == [
        ("fail", "machine-id-invalid")]


def test_a_link_is_judged_by_what_it_leads_to(image):
    files = {"/etc/machine-id": Link("/usr/lib/machine-id")}
    assert codes(check("machine-id", image({**files, "/usr/lib/machine-id": f"{ID}\n"}))) == [
        ("fail", "machine-id")]


def test_a_link_to_an_empty_file_is_a_warning(image):
    assert codes(check("machine-id", image({"/etc/machine-id": Link("/usr/lib/machine-id"),
                                            "/usr/lib/machine-id": ""}))) == [
        ("warn", "machine-id-link")]


def test_the_copy_of_dbus_comes_back(image):
    """systemd-machine-id-setup(1): an id of D-Bus is taken for the machine's own."""
    host = image({"/etc/machine-id": "", "/var/lib/dbus/machine-id": f"{ID}\n"})
    assert codes(check("machine-id", host)) == [("fail", "dbus-machine-id")]


@pytest.mark.parametrize("what", [Link("/etc/machine-id"), Link("../../../etc/machine-id"), "",
                                  None])
def test_what_dbus_may_have(image, what):
    assert check("machine-id", image({"/etc/machine-id": "",
                                      "/var/lib/dbus/machine-id": what})) == []


def test_dbus_with_a_file_of_its_own(image):
    host = image({"/etc/machine-id": "", "/var/lib/dbus/machine-id": Link("/srv/id"),
                  "/srv/id": f"{ID}\n"})
    assert codes(check("machine-id", host)) == [("warn", "dbus-machine-id-link")]


def test_the_old_way_round(image):
    """/etc/machine-id a link to D-Bus's file, as on systems upgraded from before systemd."""
    host = image({"/etc/machine-id": Link("/var/lib/dbus/machine-id"),
                  "/var/lib/dbus/machine-id": f"{ID}\n"})
    assert codes(check("machine-id", host)) == [("fail", "dbus-machine-id"), ("fail", "machine-id")]


def test_one_that_is_mounted_over_the_real_one_decides_nothing(image):
    host = image({"/etc/machine-id": f"{ID}\n"})
    host.volatile = frozenset({host.root.stat("/etc/machine-id").dev})
    with pytest.raises(Undecided, match="umount"):
        check("machine-id", host)
