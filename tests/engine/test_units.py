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
