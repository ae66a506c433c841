import pytest

from img_tools.model import Undecided
from tests.checks.test_ssh_host_keys import CLOUD
from tests.support import carried_out, plan

WRITTEN, LEASE = "/etc/netplan/50-cloud-init.yaml", "/var/lib/dhcp/dhclient.leases"


def test_all_goes_when_cloud_init_writes_it_again(image):
    host = image({**CLOUD, WRITTEN: "x", LEASE: "x", "/etc/netplan/01-vendor.yaml": "x"})
    assert carried_out("network-leftovers", host) == [WRITTEN, LEASE]


@pytest.mark.parametrize("files", [
    {"/etc/cloud/cloud-init.disabled": ""}, {"/usr/bin/cloud-init": None},
    {"/etc/cloud/cloud.cfg.d/9.cfg": "network: {config: disabled}\n"},
])
def test_settings_stay_when_nothing_would_write_them_again(image, files):
    kept = {name: what for name, what in CLOUD.items() if files.get(name, "") is not None}
    host = image({**kept, **files, WRITTEN: "x"})
    with pytest.raises(Undecided, match="would not write it again"):
        plan("network-leftovers", host)


def test_leases_go_in_any_case(image):
    assert carried_out("network-leftovers", image({LEASE: "x"})) == [LEASE]
