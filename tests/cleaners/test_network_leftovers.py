import pytest

from img_tools.model import Undecided
from tests.checks.test_ssh_host_keys import CLOUD
from tests.support import Link, carried_out, check, plan

WRITTEN, LEASE = "/etc/netplan/50-cloud-init.yaml", "/var/lib/dhcp/dhclient.leases"


def test_all_goes_when_cloud_init_writes_it_again(image):
    """Cleanup defect 12: upstream leaves leases and settings of the build machine's network."""
    host = image({**CLOUD, WRITTEN: "x", LEASE: "x", "/etc/netplan/01-vendor.yaml": "x"})
    assert carried_out("network-leftovers", host) == [WRITTEN, LEASE]
    assert check("network-leftovers", host) == []


@pytest.mark.parametrize("files", [
    {"/etc/cloud/cloud-init.disabled": ""}, {"/usr/bin/cloud-init": None},
    {"/etc/cloud/cloud.cfg.d/9.cfg": "network: {config: disabled}\n"},
])
def test_settings_stay_when_nothing_would_write_them_again(image, files):
    """Pitfall 15: without them and without cloud-init a clone has no network."""
    kept = {name: what for name, what in CLOUD.items() if files.get(name, "") is not None}
    host = image({**kept, **files, WRITTEN: "x"})
    with pytest.raises(Undecided, match="would not write it again"):
        plan("network-leftovers", host)


def test_leases_go_in_any_case(image):
    assert carried_out("network-leftovers", image({LEASE: "x"})) == [LEASE]


@pytest.mark.parametrize("path", [
    "/etc/netplan/01-netcfg.yaml", "/etc/network/interfaces", "/etc/hostname", "/etc/hosts",
    "/etc/NetworkManager/system-connections/acme.nmconnection",
    "/etc/systemd/network/20-acme.network", "/etc/sysconfig/network-scripts/ifcfg-eth0",
    "/etc/udev/rules.d/99-acme.rules", "/etc/resolv.conf",
])
def test_what_a_vendor_may_have_written_stays(image, path):
    """Pitfalls 14, 15: resolv.conf, netplan and ifcfg files of others are not ours to remove."""
    assert plan("network-leftovers", image({**CLOUD, path: "x"})) == []


def test_resolv_conf_that_is_a_link_stays_one(image):
    """Pitfall 14: without it, or with a file in its place, clones resolve no names."""
    host = image({**CLOUD, "/etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf"),
                  "/run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n"})
    assert plan("network-leftovers", host) == []


def test_a_link_among_the_leases_leads_nowhere(image):
    assert plan("network-leftovers", image({LEASE: Link("/etc/passwd")})) == []
