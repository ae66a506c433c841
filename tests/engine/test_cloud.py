import pytest
from packaging.version import Version

from img_tools.model import Undecided
from tests.support import Fifo, File, Link

CFG = "/etc/cloud/cloud.cfg"
UNITS = "/usr/lib/systemd/system"
WANTS = "/etc/systemd/system/cloud-init.target.wants"
STAGES = ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
GENERATOR = "/usr/lib/systemd/system-generators/cloud-init-generator"


def enabled(*stages):
    """The files of a cloud-init whose STAGES are enabled."""
    files = {f"{UNITS}/cloud-init.target": "[Unit]\n", GENERATOR: File("#!/bin/sh\n", 0o755)}
    for stage in stages or STAGES:
        files[f"{UNITS}/{stage}.service"] = "[Unit]\n"
        files[f"{WANTS}/{stage}.service"] = Link(f"{UNITS}/{stage}.service")
    return files


def obstacles(host):
    return [found.code for found in host.cloud.obstacles()]


@pytest.mark.parametrize(("package", "upstream"), [
    ("0.7.9-153-g16a7302f-0ubuntu1~16.04.2", "0.7.9"),
    ("0.7.7~bzr1212-0ubuntu1", "0.7.7"),
    ("22.4.2-1+deb12u4", "22.4.2"),
    ("1:24.1.3-0ubuntu1~22.04.1", "24.1.3"),
    ("18.5-6.el7.centos.5", "18.5"),
    ("23.4+really22.4-1", "23.4"),
])
def test_upstream_version(image, package, upstream):
    assert image().cloud.upstream(package) == Version(upstream)


def test_a_version_that_cannot_be_read_is_undecided(image):
    with pytest.raises(Undecided):
        image().cloud.upstream("unknown")


def test_later_files_win_and_mappings_are_merged(image):
    host = image({
        CFG: "a: 1\nb: 1\nsystem_info:\n  default_user: {name: debian, shell: sh}\n",
        f"{CFG}.d/10-x.cfg": "a: 2\n",
        f"{CFG}.d/20-y.cfg": "a: 3\nsystem_info: {default_user: {name: admin}}\n",
        f"{CFG}.d/30-z.conf": "a: 4\n",
        f"{CFG}.d/README": "a: 5: 6\n",
        f"{CFG}.d/40-fifo.cfg": Fifo(),
        f"{CFG}.d/50-dir.cfg": {},
    })
    found = host.cloud.setting("a")
    assert (found.path, found.line, found.text) == (f"{CFG}.d/20-y.cfg", 1, "3")
    assert host.cloud.setting("b").path == CFG
    assert host.cloud.setting("system_info", "default_user", "name").text == "admin"
    assert host.cloud.setting("system_info", "default_user", "shell").text == "sh"
    assert host.cloud.setting("c") is None
    assert host.cloud.setting("a", "b") is None


@pytest.mark.parametrize("value", ["x", "", "[default_user]"])
def test_what_is_no_mapping_hides_the_mapping_of_an_earlier_file(image, value):
    host = image({CFG: "system_info: {default_user: {name: debian}}\n",
                  f"{CFG}.d/1.cfg": f"system_info: {value}\n"})
    assert host.cloud.setting("system_info", "default_user", "name") is None


@pytest.mark.parametrize(("value", "yes"), [
    ("yes", True), ("on", True), ("'YES'", True), ("1", True), ("true", True), ("y", False),
    ("no", False), ("off", False), ("0", False), ("", False), ("unchanged", False),
    ("[yes]", False),
])
def test_what_cloud_init_takes_for_yes(image, value, yes):
    host = image({CFG: f"ssh_pwauth: {value}\n"})
    assert host.cloud.setting("ssh_pwauth").is_true is yes


@pytest.mark.parametrize("key", ["merge_how", "merge_type", "conf_d"])
def test_another_way_of_merging_is_undecided_but_hides_no_password(image, key):
    host = image({CFG: "a: 1\npassword: x\n", f"{CFG}.d/1.cfg": f"\n{key}: x\n"})
    with pytest.raises(Undecided, match=r"1\.cfg line 2 changes how"):
        host.cloud.setting("a")
    assert [found.key for found in host.cloud.credentials()] == ["password"]


@pytest.mark.parametrize("text", ["a: !own b\n", "## template: jinja\na: {{ v1.x }}\n"])
def test_configuration_that_is_not_understood_is_undecided(image, text):
    host = image({f"{CFG}.d/10-x.cfg": text})
    with pytest.raises(Undecided, match=r"10-x\.cfg"):
        host.cloud.setting("a")


def test_a_huge_file_is_undecided(image):
    with pytest.raises(Undecided, match="larger"):
        image({CFG: File("a: b\n", size=1 << 30)}).cloud.setting("a")


@pytest.mark.parametrize("stages", [
    STAGES,
    ("cloud-init-local", "cloud-init-network", "cloud-config", "cloud-final", "cloud-init-main"),
], ids=["before 24.3", "since 24.3"])
def test_nothing_stands_in_the_way(image, stages):
    host = image({**enabled(*stages),
                  "/etc/default/grub": 'GRUB_CMDLINE_LINUX="quiet"\n',
                  "/etc/cloud/ds-identify.cfg": "policy: search,notfound=disabled\n"
                                                "datasource: ConfigDrive\n"})
    assert obstacles(host) == []


@pytest.mark.parametrize(("files", "code"), [
    ({"/etc/cloud/cloud-init.disabled": ""}, "disabled-by-file"),
    ({"/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet cloud-init=disabled"\n'},
     "disabled-by-kernel-parameter"),
    ({"/etc/default/grub.d/9.cfg": "GRUB_CMDLINE_LINUX=cloud-init=disabled\n"},
     "disabled-by-kernel-parameter"),
    ({"/boot/grub/grub.cfg": "menuentry 'x' {\nlinux /vmlinuz ro cloud-init=disabled\n}\n"},
     "disabled-by-kernel-parameter"),
    ({"/etc/cloud/ds-identify.cfg": "policy: disabled\n"}, "disabled-by-policy"),
    ({"/etc/cloud/ds-identify.cfg": "datasource: Ec2 # c\n"}, "datasource"),
    ({"/etc/systemd/system/cloud-final.service": Link("/dev/null")}, "unit-masked"),
    ({"/etc/systemd/system/cloud-init.target": Link("/dev/null")}, "unit-masked"),
    ({f"{WANTS}/cloud-config.service": None}, "unit-disabled"),
    ({f"{UNITS}/cloud-init-main.service": "[Unit]\n"}, "unit-disabled"),
    ({f"{UNITS}/cloud-config.service": None, f"{WANTS}/cloud-config.service": None},
     "unit-missing"),
    ({GENERATOR: None}, "generator"),
    ({GENERATOR: File("#!/bin/sh\n", 0o644)}, "generator"),
    ({"/etc/systemd/system-generators/cloud-init-generator": Link("/dev/null")}, "generator"),
])
def test_what_stands_in_the_way(image, files, code):
    assert obstacles(image({**enabled(), **files})) == [code]


@pytest.mark.parametrize("files", [
    {"/etc/default/grub": "# GRUB_CMDLINE_LINUX=cloud-init=disabled\n"},
    {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="cloud-init=disabled cloud-init=enabled"\n'},
    {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="cloud-init=disabled"\n',
     "/etc/default/grub.d/99.cfg": 'GRUB_CMDLINE_LINUX=""\n'},
    {"/proc/cmdline": "cloud-init=disabled\n"},
    {"/etc/cloud/ds-identify.cfg": "# policy: disabled\n"},
    {GENERATOR: None, "/etc/systemd/system/multi-user.target.wants/cloud-init.target":
        Link(f"{UNITS}/cloud-init.target")},
])
def test_what_only_looks_like_an_obstacle(image, files):
    assert obstacles(image({**enabled(), **files})) == []


@pytest.mark.parametrize(("text", "found"), [
    ("password: hunter2\n", [("password", 1, False)]),
    ("password: '*'\n", []),
    ("chpasswd: {expire: false}\n", []),
    ("chpasswd:\n  list: |\n    root:RANDOM\n    joe:R\n", []),
    ("chpasswd:\n  list: |\n    root:RANDOM\n    joe:x\n", [("chpasswd.list", 2, False)]),
    ("chpasswd:\n  list: [a:b]\n", [("chpasswd.list", 2, False)]),
    ("chpasswd:\n  users:\n  - {name: a, password: b}\n", [("chpasswd.users.password", 3, False)]),
    ("users:\n  - default\n  - name: a\n    passwd: $6$x\n", [("users.passwd", 4, False)]),
    ("users:\n  - default\n  - name: a\n    lock_passwd: true\n    passwd: '!'\n", []),
    ("system_info:\n  default_user: {plain_text_passwd: a}\n",
     [("system_info.default_user.plain_text_passwd", 2, False)]),
    ("users:\n- ssh-authorized-keys:\n  - ssh-ed25519 AAAA\n", [("users.ssh-authorized-keys", 3,
                                                                 True)]),
    ("ssh_authorized_keys: []\n", []),
    ("ssh_keys: {rsa_private: x}\n", [("ssh_keys", 1, True)]),
    ("ssh_import_id: [gh:someone]\n", [("ssh_import_id", 1, True)]),
    ("ubuntu_advantage:\n  token: abc\n", [("ubuntu_advantage.token", 2, False)]),
    ("write_files:\n- path: /etc/app.conf\n  content: |\n    password: x\n", []),
    ("x: &x {passwd: a}\nusers:\n- <<: *x\n", [("x.passwd", 1, False),
                                                ("users.passwd", 1, False)]),
    ("vendor_data: !!binary I2Nsb3VkLWNvbmZpZwpwYXNzd29yZDogeA==\n", [("password", 1, False)]),
    ("datasource:\n  None:\n    userdata_raw: |\n      #cloud-config\n      password: x\n",
     [("password", 3, False)]),
])
def test_credentials(image, text, found):
    host = image({f"{CFG}.d/99-x.cfg": text})
    assert [(each.key, each.line, each.is_key) for each in host.cloud.credentials()] == found


def test_credentials_that_a_later_file_hides_are_found(image):
    host = image({CFG: "password: a\npassword: ''\n", f"{CFG}.d/1.cfg": "password: ''\n"})
    assert [(each.path, each.line) for each in host.cloud.credentials()] == [(CFG, 1)]


def test_first_boot_scripts_come_in_the_order_of_cloud_init(image):
    base = "/var/lib/cloud/scripts"
    host = image({f"{base}/per-boot/1": "x", f"{base}/per-instance/b": "x",
                  f"{base}/per-instance/10": "x", f"{base}/per-instance/9": "x",
                  f"{base}/per-instance/.a": "x", f"{base}/per-instance/B": "x",
                  f"{base}/vendor/x": "x"})
    assert [script.path.removeprefix(base + "/") for script in host.cloud.first_boot_scripts] == [
        "per-instance/.a", "per-instance/10", "per-instance/9", "per-instance/B", "per-instance/b",
        "per-boot/1"]


def test_the_version_of_an_installation_without_package(image):
    host = image({"/usr/lib/python3/dist-packages/cloudinit/version.py":
                  '__VERSION__ = "22.4.2"\n_PACKAGED_VERSION = "@@"\n'})
    assert host.cloud.module_version == "22.4.2"
    assert image().cloud.program is None
