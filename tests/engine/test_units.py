"""Which units start at boot, told from files."""

import pytest

from img_tools.units import UnitState
from tests.support import Link

UNIT = "/usr/lib/systemd/system/ufw.service"
ETC = "/etc/systemd/system"


@pytest.mark.parametrize(("files", "state"), [
    ({}, UnitState.ABSENT),
    ({UNIT: "[Unit]"}, UnitState.DISABLED),
    ({UNIT: "[Unit]", f"{ETC}/multi-user.target.wants/ufw.service": Link(UNIT)}, UnitState.ENABLED),
    ({UNIT: "[Unit]", f"{ETC}/cloud-init.target.wants/ufw.service": Link(UNIT)}, UnitState.ENABLED),
    ({UNIT: "[Unit]", f"{ETC}/rescue.target.wants/ufw.service": Link(UNIT)}, UnitState.DISABLED),
    ({UNIT: "[Unit]", f"{ETC}/ufw.service": Link("/dev/null")}, UnitState.MASKED),
    ({UNIT: ""}, UnitState.MASKED),
    ({"/etc/init.d/ufw": "#!/bin/sh"}, UnitState.DISABLED),
    ({"/etc/init.d/ufw": "#!/bin/sh", "/etc/rc2.d/S01ufw": Link("../init.d/ufw")},
     UnitState.ENABLED),
])
def test_state(image, files, state):
    assert image(files).units.state("ufw.service") is state


@pytest.mark.parametrize(("text", "counts"), [
    ("[Service]\nExecStart=\nExecStart=/bin/true\n", True),
    ("[Unit]\nConditionPathExists=/run/never\n", True), ("[Unit]\n AssertHost = x\n", True),
    ("[Unit]\nAfter=docker.service\n[Service]\nExecStartPost=/bin/true\n#ExecStart=\n", False),
])
def test_a_drop_in_that_decides_what_a_service_does(image, text, counts):
    path = f"{ETC}/ufw.service.d/10-mine.conf"
    found = image({UNIT: "[Service]\nExecStart=/x\n", path: text}).units.override("ufw.service")
    assert found == (path if counts else None)


@pytest.mark.parametrize(("files", "command"), [
    ({UNIT: "[Unit]"}, "systemctl enable ufw.service"),
    ({UNIT: ""}, "systemctl unmask ufw.service && systemctl enable ufw.service"),
    ({"/etc/init.d/ufw": "x", "/sbin/chkconfig": "x"}, "chkconfig ufw on"),
    ({"/etc/init.d/ufw": "x"}, "update-rc.d ufw enable"),
    ({}, "systemctl enable ufw.service"),
])
def test_the_command_that_enables_it(image, files, command):
    assert image(files).units.enable("ufw.service") == command


def test_run_levels_of_centos_6(image):
    units = image({"/etc/rc.d/init.d/sshd": "x", "/etc/init.d": Link("rc.d/init.d"),
                   "/etc/rc.d/rc3.d/S55sshd": Link("../init.d/sshd")}).units
    assert units.starts("ssh.service", "sshd.service")


@pytest.mark.parametrize(("inittab", "more", "starts"), [
    ("id:3:initdefault:\n", {}, False), ("id:5:initdefault:\n", {}, True),
    ("# id:3:initdefault:\n", {}, True), ("id:3:initdefault:\n",
                                         {"/usr/lib/systemd/systemd": "x"}, True)])
def test_the_run_level_that_is_booted_into_counts(image, inittab, more, starts):
    """systemd reads no inittab, and takes the scripts of every run level."""
    units = image({"/etc/init.d/sshd": "x", "/etc/rc5.d/S55sshd": Link("../init.d/sshd"),
                   "/etc/inittab": inittab, **more}).units
    assert units.starts("sshd.service") == starts
    assert units.sysv == (inittab.startswith("id") and not more)
