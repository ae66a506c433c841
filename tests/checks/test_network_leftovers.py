import pytest

from tests.support import Fifo, Link, check, codes, mended_by


def test_a_clean_debian(image):
    assert check("network-leftovers", image({
        "/var/lib/dhcp": {}, "/etc/network/interfaces.d": {}, "/etc/udev/rules.d": {},
        "/etc/netplan": {}, "/etc/network/interfaces": "auto lo\niface lo inet loopback\n",
        "/var/lib/NetworkManager": {},
    })) == []


@pytest.mark.parametrize(("path", "code"), [
    ("/var/lib/dhcp/dhclient.eth0.leases", "dhcp-lease"),
    ("/var/lib/dhclient/dhclient-eth0.leases", "dhcp-lease"),
    ("/var/lib/dhcpcd/eth0.lease", "dhcp-lease"), ("/var/lib/dhcpcd/duid", "dhcp-lease"),
    ("/etc/dhcpcd.duid", "dhcp-lease"), ("/var/lib/NetworkManager/x-eth0.lease", "dhcp-lease"),
    ("/var/lib/NetworkManager/secret_key", "network-manager-state"),
    ("/var/lib/NetworkManager/seen-bssids", "network-manager-state"),
    ("/etc/udev/rules.d/70-persistent-net.rules", "persistent-net-rule"),
    ("/etc/netplan/50-cloud-init.yaml", "cloud-init-network"),
    ("/etc/network/interfaces.d/50-cloud-init", "cloud-init-network"),
    ("/etc/systemd/network/10-cloud-init-eth0.network", "cloud-init-network"),
    ("/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection", "cloud-init-network"),
])
def test_what_one_machine_leaves(image, path, code):
    (finding,) = check("network-leftovers", image({path: "s3cret"}))
    assert (finding.status, finding.code, finding.path) == ("warn", code, path)
    assert mended_by(finding) == "network-leftovers"
    assert "s3cret" not in repr(finding)


def test_what_a_vendor_wrote_is_not_meant(image):
    assert check("network-leftovers", image({
        "/etc/netplan/01-vendor.yaml": "x", "/etc/systemd/network/20-wired.network": "x",
        "/etc/NetworkManager/system-connections/vpn.nmconnection": "x",
        "/etc/udev/rules.d/60-app.rules": "x",
    })) == []


def test_what_holds_nothing(image):
    assert check("network-leftovers", image({
        "/var/lib/dhcp/dhclient.leases": "", "/var/lib/dhcp/dhcpd.leases": "lease x {}",
        "/var/lib/dhcp/dhclient.eth0.leases": Fifo(),
        "/etc/udev/rules.d/70-persistent-net.rules": Link("/dev/null"),
    })) == []


def test_every_lease_counts(image):
    found = check("network-leftovers", image(
        {f"/var/lib/dhcp/dhclient.eth{number}.leases": "x" for number in range(3)}))
    assert codes(found) == [("warn", "dhcp-lease")] * 3


@pytest.mark.parametrize(("line", "count"), [
    ('Acquire::http::Proxy "http://10.0.0.2:3142";', 1),
    ('Acquire::https::Proxy::deb.debian.org "http://10.0.0.2:3142";', 1),
    ('Acquire::http::Proxy "DIRECT";', 0), ('Acquire::http::Proxy "false";', 0),
    ('# Acquire::http::Proxy "http://10.0.0.2:3142";', 0), ('Acquire::Retries "3";', 0),
    ('// Acquire::http::Proxy "http://10.0.0.2:3142";', 0),
])
def test_a_proxy_of_the_build_network(image, line, count):
    found = check("network-leftovers", image({"/etc/apt/apt.conf.d/90proxy": f"x;\n{line}\n"}))
    assert [finding.code for finding in found] == ["apt-proxy"] * count
    assert "10.0.0.2" not in repr(found)


@pytest.mark.parametrize(("content", "code"), [
    ("# Created by cloud-init on instance boot automatically, do not edit.\nHWADDR=52:54:0:1:2:3\n",
     "cloud-init-network"),
    ("DEVICE=eth0\nHWADDR=52:54:0:1:2:3\n", "card-address"),
    ("DEVICE=eth0\n#HWADDR=52:54:0:1:2:3\nBOOTPROTO=dhcp\n", None),
])
def test_network_scripts_of_the_rhel_family(image, content, code):
    found = check("network-leftovers", image(
        {"/etc/sysconfig/network-scripts/ifcfg-eth0": content,
         "/etc/sysconfig/network-scripts/ifcfg-lo": "DEVICE=lo\n"}))
    assert [finding.code for finding in found] == ([code] if code else [])


def test_a_proxy_in_the_configuration_of_dnf_is_told_once(image):
    found = check("network-leftovers", image({
        "/etc/dnf/dnf.conf": "[main]\nproxy=http://me:pw@10.0.0.2:3142\n",
        "/etc/yum.conf": Link("dnf/dnf.conf"),
        "/etc/yum.repos.d/x.repo": "[x]\nproxy=_none_\n"}))
    assert [(finding.code, finding.path) for finding in found] == [
        ("dnf-proxy", "/etc/dnf/dnf.conf")]
    assert "me:pw" not in repr(found)
