from importlib import import_module

import pytest

from img_tools.model import Undecided
from tests.engine.test_cloud import CFG, enabled
from tests.support import check, codes, dpkg

STATUS = "/var/lib/dpkg/status"
GOOD = "22.4.2-1+deb12u4"


def cloud(image, files=None, version=GOOD):
    return image({**enabled(), STATUS: dpkg(cloud_init=version), CFG: "users: [default]\n",
                  **(files or {})})


def test_a_stock_installation_passes(image):
    assert check("cloud-init", cloud(image)) == []


@pytest.mark.parametrize(("version", "found"), [
    ("0.7.5-0ubuntu1", [("fail", "version")]),
    ("0.7.6-1", [("warn", "version")]),
    ("0.7.7~bzr1212-0ubuntu1", [("warn", "version")]),
    ("0.7.9-153-g16a7302f-0ubuntu1~16.04.2", []),
    ("0.7.10-1", []),
    ("17.1-1", []),
    ("1:25.1.4-1+deb13u1", []),
])
def test_version(image, version, found):
    """Defect 21: upstream asks whether there is a program cloud-init and reads no version.

    The documented floor 0.76 and 0.79 are 0.7.6 and 0.7.9; compared as numbers 0.7.9 would fail.
    """
    assert codes(check("cloud-init", cloud(image, version=version))) == found


@pytest.mark.parametrize("files", [
    {"/etc/cloud/cloud-init.disabled": ""},
    {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="cloud-init=disabled"\n'},
    {"/etc/systemd/system/cloud-init-local.service": ""},
])
def test_disabled(image, files):
    """Defect 21: upstream passes a cloud-init that is installed and never runs."""
    (found,) = check("cloud-init", cloud(image, files))
    assert found.status == "fail"
    assert found.remediation


def test_not_installed(image):
    host = image({STATUS: dpkg(bash="5.2")})
    (found,) = check("cloud-init", host)
    assert (found.code, found.remediation) == ("not-installed", "apt-get install cloud-init")


def test_a_package_that_was_removed_is_not_installed(image):
    """Defect 21: configuration that stays behind does not make it installed."""
    status = dpkg(bash="5.2") + ("\nPackage: cloud-init\nStatus: deinstall ok config-files\n"
                                 "Architecture: all\nVersion: 22.4.2-1\n")
    assert codes(check("cloud-init", image({STATUS: status, CFG: "a: b\n"}))) == [
        ("fail", "not-installed")]


def test_an_installation_that_no_package_manager_knows(image):
    files = {STATUS: dpkg(bash="5.2"), "/usr/local/bin/cloud-init": "#!/usr/bin/python3\n"}
    with pytest.raises(Undecided, match="version is not known"):
        check("cloud-init", image({**enabled(), **files}))
    module = "/usr/local/lib/python3.11/dist-packages/cloudinit/version.py"
    assert codes(check("cloud-init", image({module: '__VERSION__ = "0.7.5"\n'}))) == [
        ("fail", "version")]


def test_an_unreadable_list_of_packages_is_undecided_when_the_program_is_there(image):
    host = image({STATUS: None, "/usr/bin/cloud-init": "x"})
    with pytest.raises(Undecided, match="dpkg"):
        check("cloud-init", host)


@pytest.mark.parametrize(("text", "found"), [
    ("datasource_list: [ NoCloud, ConfigDrive, DigitalOcean, None ]\n", []),
    ("datasource_list:\n- ConfigDrive\n- None\n", []),
    ("datasource_list: [Ec2, None]\n", [("fail", "datasource")]),
    ("datasource_list: [None]\n", [("fail", "datasource")]),
    ("datasource_list: []\n", [("fail", "datasource")]),
    ("# datasource_list: [None]\n", []),
    ("datasource_list: [DigitalOcean]\n", []),
])
def test_datasources(image, text, found):
    """Defect 21: upstream does not look at the datasources."""
    assert codes(check("cloud-init", cloud(image, {f"{CFG}.d/90_dpkg.cfg": text}))) == found


def test_the_datasource_digitalocean_is_deprecated(image):
    host = cloud(image, {CFG: "datasource_list: [DigitalOcean]\n"}, "23.2-1")
    assert codes(check("cloud-init", host)) == [("warn", "datasource-deprecated")]


@pytest.mark.parametrize(("text", "found"), [
    ("ssh_pwauth: true\n", [("warn", "password-login")]),
    ("ssh_pwauth: 'yes'\n", [("warn", "password-login")]),
    ("ssh_pwauth: unchanged\n", []),
    ("ssh_pwauth: false\n", []),
    ("ssh_deletekeys: false\n", [("warn", "host-keys-kept")]),
    ("ssh_deletekeys: True\n", []),
    ("ssh_genkeytypes: []\n", [("fail", "no-host-keys")]),
    ("ssh_genkeytypes: [ed25519]\n", []),
    ("network: {config: disabled}\n", [("warn", "network-disabled")]),
    ("network:\n  config:\n  - type: physical\n", []),
])
def test_settings(image, text, found):
    assert codes(check("cloud-init", cloud(image, {f"{CFG}.d/99-x.cfg": text}))) == found


def test_a_secret_is_found_and_never_shown(image):
    host = cloud(image, {f"{CFG}.d/99-x.cfg": "# c\npassword: hunter2\n"
                                              "ssh_authorized_keys: [ssh-ed25519 AAAAC3 me]\n"})
    password, key = check("cloud-init", host)
    assert (password.status, password.code, password.line) == ("fail", "password", 2)
    assert (key.status, key.code, key.line) == ("fail", "key", 3)
    assert "hunter2" not in repr(password)
    assert "AAAAC3" not in repr(key)


def test_what_is_certain_is_said_before_a_file_that_is_not_understood(image):
    host = cloud(image, {f"{CFG}.d/99-x.cfg": "a: !own b\n", "/etc/cloud/cloud-init.disabled": ""})
    findings = import_module("img_tools.checks.cloud_init").check(host)
    assert next(findings).code == "disabled-by-file"
    with pytest.raises(Undecided, match=r"99-x\.cfg line 1"):
        next(findings)
