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
