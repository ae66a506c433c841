import socket
from types import SimpleNamespace

import psutil
import pytest

from img_tools.host import Host
from img_tools.model import Undecided
from tests.support import File, check, codes

NETPLAN = """network:
  version: 2
  ethernets:
    eth0:
      addresses: [159.65.1.2/20, "2604:a880:400:d0::1/64"]  # 2604:a880::9/64
      gateway4: 159.65.0.1
      nameservers: {addresses: [8.8.8.8, "2001:4860:4860::8844"]}
    eth1:
      addresses: [10.110.0.2/20]
"""


@pytest.mark.parametrize("files", [
    {},
    {"/etc/netplan/50-cloud-init.yaml": NETPLAN},
    {"/etc/network/interfaces.d/50-cloud-init": NETPLAN},
    {"/etc/systemd/network/10-cloud-init-eth0.network": "Address=2604:a880::1/64\n"},
    {"/etc/NetworkManager/system-connections/cloud-init-eth0.nmconnection":
        "address1=2604:a880::1/64\n"},
    {"/etc/sysconfig/network-scripts/ifcfg-eth1":
        "# Created by cloud-init on instance boot automatically, do not edit.\nDEVICE=eth1\n"},
    {"/etc/network/interfaces": "auto lo\niface lo inet loopback\niface lo inet6 loopback\n"},
    {"/etc/netplan/01-dhcp.yaml": "network: {ethernets: {eth0: {dhcp4: true}}}\n"},
    {"/etc/systemd/network/wg0.network": "Address=10.8.0.1/24\nDNS=8.8.8.8\nGateway=1.1.1.1\n"},
    {"/etc/netplan/01-local.yaml": "br0: {addresses: ['fe80::1/64', 'fd00::1/64']}\n"},
    {"/etc/sysconfig/network-scripts/ifcfg-eth0": "BOOTPROTO=dhcp\nHWADDR=aa:bb:cc:dd:ee:ff\n"
                                                  "DNS1=8.8.8.8\n"},
    {"/etc/netplan": {}, "/etc/netplan/x.yaml": {}},
])
def test_nothing_of_the_build_droplet(image, files):
    assert check("do-features", image(files)) == []


def test_netplan(image):
    findings = check("do-features", image({"/etc/netplan/01-x.yaml": NETPLAN}))
    assert [(found.code, found.line) for found in findings] == [
        ("address", 5), ("ipv6", 5), ("private-network", 8)]
    assert {found.status.value for found in findings} == {"warn"}


@pytest.mark.parametrize(("path", "text", "code"), [
    ("/etc/network/interfaces", "iface eth0 inet6 static\n  address 2604:a880::1\n", "ipv6"),
    ("/etc/network/interfaces.d/x", "  address 159.65.1.2\n", "address"),
    ("/etc/network/interfaces.d/y", "auto eth1\n", "private-network"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth0", "IPV6ADDR=2604:a880::1/64\n", "ipv6"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth0", "IPADDR=159.65.1.2\n", "address"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth1", "BOOTPROTO=dhcp\n", "private-network"),
    ("/etc/systemd/network/a.network", "[Network]\nAddress=2604:a880::1/64\n", "ipv6"),
    ("/etc/NetworkManager/system-connections/a.nmconnection",
     "address1=2604:a880::1/64,2604:a880::2\n", "ipv6"),
])
def test_other_configuration(image, path, text, code):
    assert codes(check("do-features", image({path: text}))) == [("warn", code)]


def test_a_route_is_no_address(image):
    host = image({"/etc/netplan/a.yaml": "routes:\n- to: 2000::/3\n- to: 0.0.0.0/0\n"})
    assert check("do-features", host) == []


def test_a_huge_file_is_undecided(image):
    with pytest.raises(Undecided):
        check("do-features", image({"/etc/netplan/a.yaml": File("x", size=1 << 30)}))


def address(text, family=socket.AF_INET6):
    return SimpleNamespace(family=family, address=text)


@pytest.mark.parametrize(("interfaces", "found"), [
    ({"lo": [address("::1")], "eth0": [address("fe80::1%eth0"),
                                       address("159.65.1.2", socket.AF_INET)]}, []),
    ({"eth0": [address("2604:a880::1"), address("2604:a880::2")]}, [("warn", "ipv6-enabled")]),
    ({"eth1": [address("10.110.0.2", socket.AF_INET)]}, []),  # every Droplet has it
    ({"docker0": [address("2604:a880::1")]}, []),
])
def test_interfaces_of_the_running_system(image, monkeypatch, interfaces, found):
    monkeypatch.setattr(Host, "live", property(lambda host: True))
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: interfaces)
    assert codes(check("do-features", image())) == found
