"""What the host says of an image: the system, homes, and that it asks the image alone."""

from __future__ import annotations

import pytest

from img_tools.host import Home, Host
from img_tools.model import Skip, Undecided
from img_tools.once import once
from img_tools.rootfs import RootFS
from tests.support import FakeRunner, Fifo, File, Link

GOOD = 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nPRETTY_NAME="Debian 12"\n'


@pytest.mark.parametrize("files", [
    {"/etc/os-release": GOOD},
    {"/etc/os-release": Link("../usr/lib/os-release"), "/usr/lib/os-release": GOOD},
    {"/etc/os-release": Link("/usr/lib/os-release"), "/usr/lib/os-release": GOOD},
    {"/etc/os-release": None, "/usr/lib/os-release": GOOD},
    {"/etc/os-release": Link("/nowhere"), "/usr/lib/os-release": GOOD},
    {"/etc/os-release": Link("../" * 30 + "usr/lib/os-release"), "/usr/lib/os-release": GOOD},
])
def test_os_release_is_the_image_s_own_by_any_link(image, files):
    """An absolute link is followed inside the image, not to the system that the tool runs on."""
    found = image(files).os_release
    assert (found.id, found.version_id, found.pretty_name) == ("debian", "12", "Debian 12")


def test_a_link_out_of_the_image_shows_nothing_of_the_host(image, tmp_path):
    (tmp_path / "canary").write_text("ID=canary\n")
    host = image({"/etc/os-release": Link(f"{tmp_path}/canary")})
    with pytest.raises(Undecided, match="there is no /etc/os-release"):
        host.os_release  # noqa: B018


def test_os_release_is_read_and_never_run(image, tmp_path):
    """Defect 35: upstream sources the file as root, which runs it and overwrites its variables."""
    mark = tmp_path / "mark"
    host = image({"/etc/os-release": f"{GOOD}VERSION=$(touch {mark})\ntouch {mark}\n"
                                     f'X="`touch {mark}`"\nPATH=/nowhere\nexit 0\n'})
    assert host.os_release.id == "debian"
    assert not mark.exists()


@pytest.mark.parametrize(("what", "words"), [
    (None, "there is no /etc/os-release"),
    (Fifo(), "a named pipe, not a regular file"),
    ({}, "a directory, not a regular file"),
    (Link("os-release"), "too many levels"),
    (b"ID=\xff\xfe\n", "cannot be understood: 'utf-8'"),
    ("ID='debian\n", "cannot be understood: No closing quotation"),
    ("NAME=x\n", "has no ID"),
    ("ID=\n", "has no ID"),
    ("", "has no ID"),
    (File(b"ID=debian\n", size=1 << 30), "larger than 65536 bytes"),
])
def test_an_unusable_os_release_is_undecided(image, what, words):
    host = image({"/etc/os-release": what})
    with pytest.raises(Undecided, match=words):
        host.os_release  # noqa: B018


def test_like_comes_after_id(image):
    host = image({"/etc/os-release": 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'})
    assert host.os_release.ids == ("linuxmint", "ubuntu", "debian")
    assert host.os_release.version_id is None
    assert host.os_release.pretty_name == "linuxmint"
    assert host.packages.name == "apt"


def test_a_system_without_a_known_package_manager_is_undecided(image):
    host = image({"/etc/os-release": "ID=plan9\n"})
    with pytest.raises(Undecided, match="no package manager is known for plan9"):
        host.packages  # noqa: B018
    assert host.advice("install", "ufw") == "with this system's package manager: install ufw"


def test_homes_are_those_of_passwd_each_once(image):
    host = image({
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\nann:x:1:1::/srv/ann:/bin/sh\n"
                       "bob:x:2:2::/srv/../srv/ann/:/bin/sh\neve:x:3:3::/link:/bin/sh\n"
                       "nobody:x:4:4::/nonexistent:/bin/sh\nrel:x:5:5::srv:/bin/sh\n"
                       "file:x:6:6::/etc/passwd:/bin/sh\nnul:x:7:7::/a\0b:/bin/sh\n",
        "/srv/ann": {}, "/link": Link("/srv/eve"), "/srv/eve": {}, "/etc/skel": {},
        "/home/nobodys": {}})
    assert host.homes == (Home("/root", "root"), Home("/srv/ann", "ann"), Home("/srv/eve", "eve"),
                          Home("/etc/skel", "skel"))


def test_a_home_that_leads_out_of_the_image_is_none(image, tmp_path):
    (tmp_path / "outside").mkdir()
    host = image({"/etc/passwd": "ann:x:1:1::/home/ann:/bin/sh\n",
                  "/home/ann": Link(str(tmp_path / "outside"))})
    assert host.homes == (Home("/root", "root"),)


def test_the_kernel_is_asked_on_the_running_system_alone(image):
    with pytest.raises(Skip, match="mounts are the kernel's, and --root is not the running system"):
        image().require_live("mounts are the kernel's")
    live = Host(RootFS("/"), FakeRunner({}))
    assert live.live
    live.require_live("mounts are the kernel's")


def test_the_age_of_the_indexes_is_never_waited_for(image):
    host = image()
    assert host.index_time is None
    assert once.peek(host, "packages") is None


def test_close_may_come_at_any_time(image):
    host = image()
    host.close()
    host.close()


def test_a_remedy_typed_beside_a_mounted_image_does_not_clean_the_machine_it_is_typed_on(image):
    """Pitfall 21 of cleaning: it was run on the wrong machine."""
    assert Host(RootFS("/"), FakeRunner({})).clean_command("logs") == "img-clean --yes --only logs"
    host = image()
    assert host.clean_command("logs") == f"img-clean --root {host.root.top} --yes --only logs"
