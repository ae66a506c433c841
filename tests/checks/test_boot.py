import os
from types import SimpleNamespace

import pytest

from img_tools.host import Host
from tests.support import Link, check, codes

LIB = "/usr/lib/systemd/system"
KERNEL = {"/boot/vmlinuz-6.1.0-20-amd64": "k", "/boot/initrd.img-6.1.0-20-amd64": "i"}
SYSTEMD = {f"{LIB}/graphical.target": "[Unit]\n", f"{LIB}/rescue.target": "[Unit]\n",
           f"{LIB}/default.target": Link("graphical.target")}


@pytest.fixture
def live(monkeypatch):
    """Make images count as the running system, whose kernel is the one given."""
    def make(release):
        monkeypatch.setattr(Host, "live", property(lambda host: True))
        monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release=release))
    return make


def test_in_order(image):
    host = image({**KERNEL, **SYSTEMD, "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet splash"\n'})
    assert check("boot", host) == []


def test_a_tree_without_a_kernel_may_lack_its_boot_only(image, live):
    assert codes(check("boot", image())) == [("warn", "no-kernel")]
    live("6.1.0-20-amd64")
    assert codes(check("boot", image())) == [("fail", "no-kernel")]


@pytest.mark.parametrize("initrd", [None, "", Link("/boot/gone")])
def test_a_kernel_without_initrd(image, initrd):
    host = image({**KERNEL, "/boot/initrd.img-6.1.0-20-amd64": initrd})
    assert codes(check("boot", host)) == [("fail", "no-initrd")]


@pytest.mark.parametrize(("running", "found"), [
    ("6.1.0-20-amd64", []),
    ("6.1.0-20-cloud-amd64", []),
    ("6.1.0-9-amd64", [("warn", "not-running")]),
])
def test_the_running_kernel(image, live, running, found):
    live(running)
    assert codes(check("boot", image(KERNEL))) == found


@pytest.mark.parametrize("words", [
    "quiet init=/bin/bash", "ro single", "S", "emergency", "rd.break",
    "systemd.unit=rescue.target", "systemd.unit=emergency.target", "inst.ks=http://a:pw@b/ks",
])
def test_parameters_of_a_rescue(image, words):
    host = image({**KERNEL, "/boot/grub/grub.cfg":
                  f"menuentry 'Debian' {{\n linux /vmlinuz root=/dev/vda1 {words}\n}}\n"})
    (found,) = check("boot", host)
    assert (found.status, found.code, found.line) == ("fail", "kernel-parameter", 2)
    assert "pw" not in repr(found)


@pytest.mark.parametrize("words", [
    "init=/lib/systemd/systemd", "systemd.unit=multi-user.target", "console=ttyS0 net.ifnames=0",
    "root=UUID=1 ro quiet", "panic=1",
])
def test_parameters_that_are_fine(image, words):
    host = image({**KERNEL, "/etc/default/grub": f'GRUB_CMDLINE_LINUX="{words}"\n'})
    assert check("boot", host) == []


def test_the_recovery_entry_is_fine(image):
    host = image({**KERNEL, "/boot/grub/grub.cfg":
                  "menuentry 'Debian (recovery mode)' {\n linux /vmlinuz ro single\n}\n"})
    assert check("boot", host) == []


@pytest.mark.parametrize(("link", "found"), [
    (Link("/lib/systemd/system/graphical.target"), []),  # what counts is the last name
    (Link("/usr/lib/systemd/system/rescue.target"), [("fail", "rescue-target")]),
    (Link("/dev/null"), [("fail", "rescue-target")]),
    (Link("gone.target"), [("fail", "no-target")]),
])
def test_the_target(image, link, found):
    host = image({**KERNEL, **SYSTEMD, "/etc/systemd/system/default.target": link})
    assert codes(check("boot", host)) == found


def test_no_target_at_all(image):
    host = image({**KERNEL, f"{LIB}/basic.target": "[Unit]\n"})
    assert codes(check("boot", host)) == [("fail", "no-target")]
