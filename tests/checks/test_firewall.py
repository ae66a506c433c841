import pytest

from img_tools.model import Undecided
from tests.support import Fifo, File, Link, check, codes

SSHD = {"/etc/ssh/sshd_config": "UsePAM yes\n"}


def service(name, enabled=True):
    """A systemd service of a package, enabled or not."""
    files = {f"/usr/lib/systemd/system/{name}.service": "[Service]\n"}
    if enabled:
        files[f"/etc/systemd/system/multi-user.target.wants/{name}.service"] = Link(
            f"/lib/systemd/system/{name}.service")
    return files


ALLOW_SSH = "-A ufw-user-input -p tcp --dport 22 -j ACCEPT"


def ufw(*user_rules, conf="yes", policy='"DROP"', ipv6="yes", enabled=True):
    """An installed ufw; its before and after rules are cut down to what decides here."""
    files = {
        **SSHD, **service("ufw", enabled), "/usr/sbin/ufw": File(mode=0o755),
        "/etc/ufw/ufw.conf": f"# comment\nENABLED={conf}\nLOGLEVEL=low\n",
        "/etc/default/ufw": f"IPV6={ipv6}\nDEFAULT_INPUT_POLICY={policy}\n"
                            'DEFAULT_OUTPUT_POLICY="ACCEPT"\n',
    }
    for six in ("", "6"):
        rules = "\n".join(rule.replace("ufw-", f"ufw{six}-") for rule in user_rules)
        base = f"*filter\n:ufw{six}-{{}}-input - [0:0]\n"
        files[f"/etc/ufw/before{six}.rules"] = base.format("before") + (
            f"-A ufw{six}-before-input -i lo -j ACCEPT\n"
            f"-A ufw{six}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
            f"-A ufw{six}-before-input -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n")
        files[f"/etc/ufw/after{six}.rules"] = base.format("after") + (
            f"-A ufw{six}-after-input -p udp --dport 137 -j ufw{six}-skip-to-policy-input\n"
            "COMMIT\n")
        files[f"/etc/ufw/user{six}.rules"] = f"{base.format('user')}{rules}\nCOMMIT\n"
    return files


def saved(*rules, policy="DROP"):
    return (f"*filter\n:INPUT {policy} [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
            + "".join(f"-A INPUT {rule}\n" for rule in rules) + "COMMIT\n")


SSH_IN = "-p tcp -m tcp --dport 22 -j ACCEPT"


def persistent(four, six=None, enabled=True):
    files = {**SSHD, **service("netfilter-persistent", enabled), "/etc/iptables/rules.v4": four,
             "/usr/share/netfilter-persistent/plugins.d/15-ip4tables": File(mode=0o755)}
    return files if six is None else {**files, "/etc/iptables/rules.v6": six}


def nftables(text, enabled=True, path="/etc/nftables.conf"):
    unit = "/usr/lib/systemd/system/nftables.service"
    return {**SSHD, **service("nftables", enabled), path: text,
            unit: f"[Service]\nExecStart=/usr/sbin/nft -f {path}\n"}


NFT = ("flush ruleset\ntable inet filter {\n chain input {\n"
       "  type filter hook input priority filter; policy drop;\n"
       "  ct state established,related accept\n  iif lo accept\n  tcp dport 22 accept\n }\n}\n")

ZONES = {
    "public": '<zone><service name="ssh"/><service name="dhcpv6-client"/><forward/></zone>',
    "trusted": '<zone target="ACCEPT"/>', "drop": '<zone target="DROP"/>',
    "block": '<zone target="%%REJECT%%"/>',
}


def firewalld(zone="public", enabled=True, **own):
    files = {**SSHD, **service("firewalld", enabled), "/usr/sbin/firewalld": File(mode=0o755),
             "/etc/firewalld/firewalld.conf": f"# DefaultZone=trusted\nDefaultZone={zone}\n",
             "/usr/lib/firewalld/services/ssh.xml":
                 '<service><port protocol="tcp" port="22"/></service>'}
    files |= {f"/usr/lib/firewalld/zones/{name}.xml": text for name, text in ZONES.items()}
    return files | {f"/etc/firewalld/zones/{name}.xml": text for name, text in own.items()}


def csf(testing="0", tcp_in="20,22,80:443", ipv6="1", tcp6_in="22", **more):
    conf = (f'# TESTING = "9"\nTESTING = "{testing}"\nTCP_IN = "{tcp_in}"\nIPV6 = "{ipv6}"\n'
            f'TCP6_IN = "{tcp6_in}"\n')
    return {**SSHD, **service("csf"), "/etc/csf/csf.conf": conf,
            "/usr/sbin/csf": File(mode=0o755), **more}


def el_iptables(enabled=True):
    return {**SSHD, **service("iptables", enabled), **service("ip6tables", enabled),
            "/etc/sysconfig/iptables": saved(SSH_IN), "/etc/sysconfig/ip6tables": saved(SSH_IN)}


DOCKER = {**service("docker"), "/usr/bin/dockerd": File(mode=0o755)}


# -- none -----------------------------------------------------------------------------------------


def test_no_firewall_fails(image):
    """Defect 10: upstream warns, and then says that all tests passed."""
    (finding,) = check("firewall", image(SSHD))
    assert (finding.status, finding.code) == ("fail", "not-installed")
    assert finding.remediation == (
        "apt-get install ufw && ufw allow OpenSSH && ufw --force enable")


def test_kernel_module_is_no_firewall(image):
    """Defect 8: upstream passes when the module ip_tables is loaded, which Docker does."""
    host = image({**SSHD, **DOCKER, "/proc/modules": "ip_tables 32768 1 - Live 0x0\n",
                  "/proc/net/ip_tables_names": "filter\n", "/usr/sbin/iptables": "",
                  "/etc/modules": "ip_tables\n"})
    assert codes(check("firewall", host)) == [("fail", "not-installed")]


@pytest.mark.parametrize(("files", "fix"), [
    (ufw(conf="no"), "ufw allow OpenSSH && ufw --force enable"),
    (ufw(ALLOW_SSH, enabled=False), "systemctl enable ufw.service"),
    (firewalld(enabled=False), "systemctl enable firewalld.service"),
    (persistent(saved(SSH_IN), enabled=False), "systemctl enable netfilter-persistent.service"),
    (nftables(NFT, enabled=False), "systemctl enable nftables.service"),
    (nftables(NFT, path="/etc/sysconfig/nftables.conf", enabled=False),
     "systemctl enable nftables.service"),
    (csf() | {path: None for path in service("csf") if ".wants/" in path},
     "systemctl enable csf.service"),
    (el_iptables(enabled=False), "systemctl enable iptables.service"),
    ({**SSHD, "/etc/rc.d/init.d/iptables": "x", "/etc/init.d": Link("rc.d/init.d"),
      "/sbin/chkconfig": "x", "/etc/sysconfig/iptables": saved(SSH_IN)}, "chkconfig iptables on"),
])
def test_installed_but_not_enabled_at_boot(image, files, fix):
    """Defect 9: upstream looks at what runs now, not at what the next boot starts."""
    (finding,) = check("firewall", image(files))
    assert (finding.status, finding.code, finding.remediation) == ("fail", "not-enabled", fix)


def test_masked(image):
    files = ufw(ALLOW_SSH) | {"/etc/systemd/system/ufw.service": Link("/dev/null")}
    (finding,) = check("firewall", image(files))
    assert finding.remediation == "systemctl unmask ufw.service && systemctl enable ufw.service"


def test_advice_names_the_port_of_sshd(image):
    host = image({**ufw(conf="no"), "/etc/ssh/sshd_config": "Port 2222\n"})
    assert check("firewall", host)[0].remediation == "ufw allow 2222/tcp && ufw --force enable"


def test_no_state_of_the_kernel_is_asked(image):
    """Defect 31: upstream punishes a firewall that was stopped for the build, asking what runs."""
    host = image(ufw(ALLOW_SSH))
    assert check("firewall", host) == []
    assert host.run.calls == []


# -- each that is right ---------------------------------------------------------------------------


@pytest.mark.parametrize("files", [
    ufw(ALLOW_SSH), ufw(ALLOW_SSH, conf='"yes"', policy="REJECT", ipv6="no"),
    ufw("-A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --set",
        "-A ufw-user-input -p tcp --dport 22 -m conntrack --ctstate NEW -m recent --update "
        "--seconds 30 --hitcount 6 -j DROP", ALLOW_SSH, conf="YES"),
    firewalld(), firewalld(public='<zone><port port="20-30" protocol="tcp"/></zone>'),
    csf(), persistent(saved(SSH_IN), saved(SSH_IN)), nftables(NFT),
    nftables(NFT, path="/etc/sysconfig/nftables.conf"),
])
def test_right(image, files):
    """Defects 5, 7 and 9: upstream warns of csf, firewalld on Debian, nftables and saved rules."""
    assert check("firewall", image(files)) == []


def test_el_iptables(image):
    assert check("firewall", image(el_iptables())) == []


def test_el_iptables_without_rules_to_load(image):
    """Defect 8: the service is enabled, its module will be loaded, and nothing is filtered."""
    files = el_iptables() | {"/etc/sysconfig/iptables": None}
    (finding,) = check("firewall", image(files))
    assert (finding.status, finding.code) == ("fail", "not-enabled")
    assert "no /etc/sysconfig/iptables to load" in finding.message


def test_without_ssh_server_nothing_need_be_let_in(image):
    assert check("firewall", image(ufw() | {"/etc/ssh/sshd_config": None})) == []


# -- rules that do not do it ----------------------------------------------------------------------


def test_firewalld_that_is_not_installed_or_stopped_does_not_pass(image):
    """Defect 6: upstream passes every EL image, firewalld or not."""
    host = image({**SSHD, "/etc/os-release": 'ID=rocky\nVERSION_ID="9.4"\nID_LIKE="rhel fedora"\n'})
    (finding,) = check("firewall", host)
    assert (finding.status, finding.code) == ("fail", "not-installed")
    assert "firewalld" in finding.remediation


@pytest.mark.parametrize("files", [
    ufw(ALLOW_SSH, policy="ACCEPT"), firewalld("trusted"),
    persistent(saved(policy="ACCEPT")), persistent(saved(SSH_IN, "-s 10.1.1.1 -j DROP",
                                                         policy="ACCEPT")),
    persistent("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"), nftables("flush ruleset\n"),
    nftables("flush ruleset\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input "
             "priority filter;\n\t}\n\tchain forward {\n\t\ttype filter hook forward priority 0;"
             " policy drop;\n\t}\n}\n"),
])
def test_lets_everything_in(image, files):
    """Defect 9: upstream knows no rules; a service that is active passes without one."""
    assert codes(check("firewall", image(files))) == [("fail", "lets-everything-in")]


@pytest.mark.parametrize("files", [
    ufw("-A ufw-user-input -p tcp --dport 3306 -j DROP", policy="ACCEPT"),
    persistent(saved("-p tcp --dport 3306 -j REJECT", policy="ACCEPT"), saved(SSH_IN)),
    nftables(NFT.replace("policy drop", "policy accept").replace("22 accept", "3306 drop")),
])
def test_default_accept_is_a_warning(image, files):
    assert codes(check("firewall", image(files))) == [("warn", "default-accept")]


@pytest.mark.parametrize("files", [
    ufw(), ufw("-A ufw-user-input -p tcp --dport 22 -j DROP", ALLOW_SSH),
    ufw("-A ufw-user-input -p tcp --dport 22 -s 192.0.2.0/24 -j ACCEPT"),
    ufw("-A ufw-user-input -i eth1 -p tcp --dport 22 -j ACCEPT"),
    firewalld("drop"), firewalld("block"), csf(tcp_in="80,443"), nftables(NFT.replace("22", "23")),
    nftables(NFT.replace("tcp dport", "ip saddr 192.0.2.0/24 tcp dport")),
    firewalld(public='<zone><rule><source address="192.0.2.1"/><service name="ssh"/><accept/>'
                     "</rule></zone>"),
    ufw(ALLOW_SSH) | {"/etc/ssh/sshd_config": "Port 2222\n"},
])
def test_ssh_locked_out(image, files):
    (finding,) = check("firewall", image(files))
    assert (finding.status, finding.code) == ("fail", "ssh-blocked")


def test_one_open_port_of_several_is_enough(image):
    host = image(ufw(ALLOW_SSH) | {"/etc/ssh/sshd_config": "Port 22\nPort 2222\n"})
    assert check("firewall", host) == []


def test_ssh_depends_on_what_files_cannot_tell(image):
    host = image(ufw("-A ufw-user-input -i ens3 -p tcp --dport 22 -j ACCEPT"))
    assert codes(check("firewall", host)) == [("warn", "ssh-not-sure")]


@pytest.mark.parametrize("files", [
    persistent(saved(SSH_IN)), csf(ipv6="0"), nftables(NFT.replace("inet", "ip")),
])
def test_ipv6_is_open(image, files):
    assert codes(check("firewall", image(files))) == [("warn", "ipv6-open")]


@pytest.mark.parametrize(("files", "word"), [
    (csf(testing="1"), "TESTING"), (csf(**{"/etc/csf/csf.disable": ""}), "csf.disable"),
])
def test_csf_that_does_not_hold(image, files, word):
    """Defect 5: upstream can never find csf active, and never looks whether it is in testing."""
    (finding,) = check("firewall", image(files))
    assert (finding.status, finding.code) == ("fail", "not-enabled")
    assert word in finding.message


@pytest.mark.parametrize(("path", "what"), [
    ("/etc/iptables/rules.v4", None), ("/etc/iptables/rules.v4", Fifo()),
    ("/usr/share/netfilter-persistent/plugins.d/15-ip4tables", None),
])
def test_persistent_without_its_loader_or_rules(image, path, what):
    (finding,) = check("firewall", image(persistent(saved(SSH_IN)) | {path: what}))
    assert (finding.status, finding.code) == ("fail", "not-enabled")


def test_several_firewalls(image):
    files = ufw(ALLOW_SSH) | nftables("flush ruleset\n")
    assert codes(check("firewall", image(files))) == [("warn", "several-firewalls")]


# -- docker ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [
    {}, {"/etc/docker/daemon.json": "not json"}, {"/etc/docker/daemon.json": '{"iptables": true}'},
    {"/etc/docker/daemon.json": "[" * 100_000}, {"/etc/docker/daemon.json": "[]"},
])
def test_docker_bypasses_ufw(image, files):
    """Defect 9: upstream passes ufw although every port that Docker publishes is open."""
    host = image({**ufw(ALLOW_SSH), **DOCKER, **files})
    assert codes(check("firewall", host)) == [("warn", "docker-bypass")]


@pytest.mark.parametrize("files", [
    {"/etc/docker/daemon.json": '{"iptables": false}'},
    {"/etc/systemd/system/docker.service.d/x.conf": "ExecStart=\n"
     "ExecStart=/usr/bin/dockerd --iptables=false\n"},
    {"/etc/ufw/after.rules": "*filter\n:ufw-after-input - [0:0]\n:DOCKER-USER - [0:0]\n"
     "-A DOCKER-USER -j RETURN -s 10.0.0.0/8\n-A DOCKER-USER -j DROP\nCOMMIT\n"},
    {"/etc/systemd/system/multi-user.target.wants/docker.service": None},
])
def test_docker_held_back(image, files):
    assert check("firewall", image({**ufw(ALLOW_SSH), **DOCKER, **files})) == []


def test_docker_user_that_only_returns_holds_nothing_back(image):
    files = {"/etc/ufw/after.rules": "*filter\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -j RETURN\n"
                                     "COMMIT\n"}
    host = image({**ufw(ALLOW_SSH), **DOCKER, **files})
    assert codes(check("firewall", host)) == [("warn", "docker-bypass")]


def test_docker_and_nftables(image):
    """A drop in another base chain holds against Docker's accept, so nothing is said."""
    assert check("firewall", image({**nftables(NFT), **DOCKER})) == []


# -- what cannot be judged ------------------------------------------------------------------------


@pytest.mark.parametrize("files", [
    {"/etc/rc.local": "#!/bin/sh\niptables-restore < /etc/iptables.rules\n"},
    {"/etc/network/if-pre-up.d/fw": "#!/bin/sh\n/sbin/iptables -P INPUT DROP\n"},
    service("shorewall"), service("ferm"),
    {**service("my-firewall"), "/etc/systemd/system/my-firewall.service": "[Service]\n"},
])
def test_firewall_that_cannot_be_read_is_undecided(image, files):
    with pytest.raises(Undecided, match="cannot read"):
        check("firewall", image({**SSHD, **files}))


def test_script_beside_a_firewall_is_a_warning(image):
    host = image(ufw(ALLOW_SSH) | {"/etc/rc.local": "nft -f /etc/extra.nft\n"})
    assert codes(check("firewall", host)) == [("warn", "rules-not-read")]


def test_comment_in_a_script_is_no_firewall(image):
    host = image(SSHD | {"/etc/rc.local": "# iptables-restore < /etc/x\nexit 0\n"})
    assert codes(check("firewall", host)) == [("fail", "not-installed")]


@pytest.mark.parametrize("files", [
    ufw(conf="$(cat /etc/x)"), ufw(policy="MAYBE"), ufw("-A ufw-user-input -p tcp --dport"),
    ufw("nonsense"), ufw("-A ufw-user-input -j no-such-chain"), nftables("table inet x {\n"),
    nftables('include "/etc/gone.nft"\n'), nftables("frobnicate\n"),
    nftables("table inet f {\n chain i { type filter hook input priority 0; tcp dport $p accept\n"
             " }\n}\n"),
    firewalld("nowhere"), firewalld("../../etc/passwd:"), firewalld(public="<zone"),
    firewalld(public='<!DOCTYPE z [<!ENTITY a "b">]><zone/>'), csf(tcp_in="ssh-port"),
    persistent("*filter\n-A INPUT -j DROP\n"), nftables(File(size=1 << 30)),
    persistent(b"\xff\xfe*filter"), nftables(b"\xff\xfe"),
])
def test_not_understood_is_undecided(image, files):
    with pytest.raises(Undecided):
        check("firewall", image(files))


def test_a_drop_in_that_starts_something_else_is_undecided(image):
    """`systemctl edit ufw` with another ExecStart= leaves ufw enabled and loads no rule."""
    with pytest.raises(Undecided, match=r"ufw\.service\.d/override\.conf changes what ufw"):
        check("firewall", image({
            **ufw(ALLOW_SSH), "/etc/systemd/system/ufw.service.d/override.conf":
            "[Service]\nExecStart=\nExecStart=/bin/true\n"}))
