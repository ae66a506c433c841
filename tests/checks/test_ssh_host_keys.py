import pytest

from img_tools.model import Undecided
from tests import ssh
from tests.support import Fifo, File, Link, check, codes, mended_by

CLOUD = {
    "/etc/ssh/sshd_config": "UsePAM yes\n", "/usr/bin/cloud-init": File("x", 0o755),
    "/etc/cloud/cloud.cfg": "cloud_init_modules:\n - migrator\n - ssh\n",
    "/usr/lib/systemd/system-generators/cloud-init-generator": File("x", 0o755),
    **{f"/lib/systemd/system/{name}": "[Unit]\n" for name in (
        "cloud-init-local.service", "cloud-init.service", "cloud-config.service",
        "cloud-final.service", "cloud-init.target")},
    **{f"/etc/systemd/system/cloud-init.target.wants/{name}": Link(f"/lib/systemd/system/{name}")
       for name in ("cloud-init-local.service", "cloud-init.service", "cloud-config.service",
                    "cloud-final.service")},
}


def keys(image, files):
    return check("ssh-host-keys", image({**CLOUD, **files}))


def places(findings):
    return [(finding.status.value, finding.code, finding.path) for finding in findings]


def test_an_image_that_makes_its_keys_at_first_boot_passes(image):
    assert keys(image, {}) == []


def test_a_host_key_is_named_by_its_fingerprint(image):
    """Defect 23: upstream never looks at host keys, which all clones share."""
    files = {"/etc/ssh/ssh_host_ed25519_key": ssh.openssh(),
             "/etc/ssh/ssh_host_ed25519_key.pub": ssh.ED25519 + " root@build"}
    [found] = keys(image, files)
    assert places([found]) == [("fail", "host-key", "/etc/ssh/ssh_host_ed25519_key")]
    assert found.evidence == {"type": "ssh-ed25519", "fingerprint": ssh.ED25519_FINGERPRINT,
                              "encrypted": False}
    assert mended_by(found) == "ssh-host-keys"
    assert "root@build" not in repr(found)


def test_an_old_format_takes_its_fingerprint_from_the_public_half(image):
    [found] = keys(image, {"/etc/ssh/ssh_host_ecdsa_key": ssh.pem("EC", bytes(60)),
                           "/etc/ssh/ssh_host_ecdsa_key.pub": ssh.ECDSA})
    assert found.evidence["fingerprint"] == ssh.ECDSA_FINGERPRINT


def test_a_host_key_is_one_whatever_it_holds(image):
    [found] = keys(image, {"/etc/ssh/ssh_host_x_key.old": "rubbish"})
    assert codes([found]) == [("fail", "host-key")]
    assert found.evidence == {"type": "unknown"}


def test_a_public_half_alone_is_a_warning(image):
    found = keys(image, {"/etc/ssh/ssh_host_ecdsa_key.pub": ssh.ECDSA})
    assert places(found) == [("warn", "host-key-public", "/etc/ssh/ssh_host_ecdsa_key.pub")]


@pytest.mark.parametrize("path", ["/var/lib/ssh/host", "/etc/ssh/keys/host"])
def test_a_key_that_the_configuration_names(image, path):
    [found] = keys(image, {"/etc/ssh/sshd_config": f"HostKey {path}\n", path: ssh.openssh()})
    assert (found.status.value, found.path) == ("fail", path)
    assert found.remediation is not None
    assert found.remediation.startswith(f"rm {path}")


def test_a_link_to_a_host_key(image):
    [found] = keys(image, {"/etc/ssh/ssh_host_rsa_key": Link("/opt/k"), "/opt/k": ssh.openssh()})
    assert places([found]) == [("fail", "host-key", "/opt/k")]


def test_any_private_key_below_etc_ssh(image):
    found = keys(image, {"/etc/ssh/ca/users": ssh.openssh(), "/etc/ssh/moduli": "# x\n" * 9})
    assert places(found) == [("fail", "private-key", "/etc/ssh/ca/users")]


def test_names_that_only_look_like_host_keys(image):
    files = {"/etc/ssh/trusted_user_ca_keys": ssh.ED25519, "/etc/ssh/revoked_keys": "",
             "/etc/ssh/ssh_host_rsa_key": "", "/etc/ssh/authorized_keys/root": ssh.ED25519}
    assert keys(image, files) == []


@pytest.mark.parametrize("setting", ["ssh_deletekeys: false", "ssh_deletekeys: 0"])
def test_cloud_init_that_keeps_host_keys(image, setting):
    """CVE-2018-10896: a packaged `ssh_deletekeys: 0` had clones share their host keys."""
    [found] = keys(image, {"/etc/cloud/cloud.cfg.d/50.cfg": f"# x\n{setting}\n"})
    assert codes([found]) == [("warn", "deletekeys-off")]
    assert (found.path, found.line) == ("/etc/cloud/cloud.cfg.d/50.cfg", 2)


def test_the_last_file_of_cloud_init_wins(image):
    assert keys(image, {"/etc/cloud/cloud.cfg.d/50.cfg": "ssh_genkeytypes: []\n",
                        "/etc/cloud/cloud.cfg.d/60.cfg": "ssh_genkeytypes: [ed25519]\n"}) == []


@pytest.mark.parametrize(("files", "why"), [
    ({"/usr/bin/cloud-init": None}, "not installed"),
    ({"/etc/cloud/cloud-init.disabled": ""}, "cloud-init.disabled"),
    ({"/etc/cloud/cloud.cfg.d/50.cfg": "ssh_genkeytypes: []\n"}, "ssh_genkeytypes: []"),
    ({"/etc/cloud/cloud.cfg": "cloud_init_modules:\n - migrator\n"}, "leaves ssh out"),
])
def test_a_clone_that_would_have_no_host_keys(image, files, why):
    [found] = keys(image, files)
    assert codes([found]) == [("fail", "not-regenerated")]
    assert why in found.message


UNIT = "[Service]\nExecStart=/usr/bin/ssh-keygen -A\n"


@pytest.mark.parametrize("files", [
    {"/etc/systemd/system/newkeys.service": UNIT,
     "/etc/systemd/system/multi-user.target.wants/newkeys.service": Link("../newkeys.service")},
    {"/etc/systemd/system/ssh.service.d/keys.conf": "[Service]\nExecStartPre=ssh-keygen -A\n"},
    {"/etc/rc.local": File("#!/bin/sh\nssh-keygen -A\n", 0o755), "/bin/sh": File("x", 0o755)},
])
def test_others_may_make_the_keys(image, files):
    assert keys(image, {"/usr/bin/cloud-init": None, **files}) == []


@pytest.mark.parametrize("files", [
    {"/etc/systemd/system/newkeys.service": UNIT},
    {"/etc/rc.local": File("#!/bin/sh\nssh-keygen -A\n", 0o644), "/bin/sh": File("x", 0o755)},
    {"/usr/lib/systemd/system/sshd-keygen.service": "ConditionFirstBoot=yes\n" + UNIT,
     "/etc/systemd/system/ssh.service.wants/sshd-keygen.service":
         Link("/usr/lib/systemd/system/sshd-keygen.service")},
])
def test_what_does_not_run_makes_no_keys(image, files):
    assert codes(keys(image, {"/usr/bin/cloud-init": None, **files})) == [
        ("fail", "not-regenerated")]


def test_without_a_server_nothing_needs_keys(image):
    assert check("ssh-host-keys", image()) == []


def test_keys_are_told_before_what_cannot_be_decided(image):
    host = image({**CLOUD, "/etc/ssh/ssh_host_rsa_key": ssh.openssh(),
                  "/etc/ssh/sshd_config": Fifo()})
    found = []
    with pytest.raises(Undecided):
        found.extend(_collect(host, found))
    assert codes(found) == [("fail", "host-key")]


def _collect(host, found):
    from img_tools.checks import ssh_host_keys

    for finding in ssh_host_keys.check(host):
        found.append(finding)
    return []


def test_a_fifo_and_a_large_file_below_etc_ssh(image):
    assert keys(image, {"/etc/ssh/pipe": Fifo(), "/etc/ssh/big": File(size=1 << 30)}) == []


WANTS = "[Unit]\nWants=sshd-keygen.target\n[Service]\nExecStart=/usr/sbin/sshd -D\n"


@pytest.mark.parametrize("files", [
    {"/usr/lib/systemd/system/sshd.service": WANTS,
     "/usr/lib/systemd/system/sshd-keygen.target": "[Unit]\nWants=sshd-keygen@rsa.service\n",
     "/etc/systemd/system/multi-user.target.wants/sshd.service":
         Link("/usr/lib/systemd/system/sshd.service")},
    {"/etc/init.d/sshd": "#!/bin/bash\n$KEYGEN; ssh-keygen -q -t rsa\n",
     "/etc/rc.d/rc3.d/S55sshd": Link("../init.d/sshd")},
], ids=["EL 7 and later", "EL 6"])
def test_sshd_of_the_rhel_family_makes_its_keys(image, files):
    assert keys(image, {"/usr/bin/cloud-init": None, **files}) == []


def test_an_sshd_keygen_that_is_masked_makes_none(image):
    assert codes(keys(image, {
        "/usr/bin/cloud-init": None, "/usr/lib/systemd/system/sshd.service": WANTS,
        "/etc/systemd/system/sshd-keygen.target": Link("/dev/null"),
        "/etc/systemd/system/multi-user.target.wants/sshd.service":
            Link("/usr/lib/systemd/system/sshd.service")})) == [("fail", "not-regenerated")]


@pytest.mark.parametrize(("left", "found"), [(True, [("fail", "not-regenerated")]), (False, [])])
def test_an_sshd_keygen_that_leaves_it_to_cloud_init(image, left, found):
    """cloud-init runs, and is told to make no keys."""
    unit = "/usr/lib/systemd/system/sshd-keygen@.service"
    assert codes(keys(image, {
        "/etc/cloud/cloud.cfg.d/1.cfg": "ssh_genkeytypes: []\n", unit: "[Unit]\n",
        f"{unit}.d/disable-sshd-keygen-if-cloud-init-active.conf": "[Unit]\n" if left else None,
        "/usr/lib/systemd/system/sshd.service": WANTS.replace(".target", "@rsa.service"),
        "/usr/lib/systemd/system/sshd-keygen@rsa.service": Link("sshd-keygen@.service"),
        "/etc/systemd/system/multi-user.target.wants/sshd.service":
            Link("/usr/lib/systemd/system/sshd.service")})) == found
