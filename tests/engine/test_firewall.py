import pytest

from img_tools.firewall.iptables import SavedRules
from img_tools.firewall.nft import Nftables
from img_tools.firewall.rules import Fate, Packet
from img_tools.model import Undecided
from tests.support import Link


def fates(inbound, *ports, family=4):
    """One letter for each of PORTS: a(ccept), d(rop) or ? when it depends."""
    return "".join(
        "?" if len(found) > 1 else found.pop().value[0] if found else "-"
        for found in (set(inbound.fates(Packet(port, family))) for port in ports))


@pytest.fixture
def nft(image):
    def make(chain, *, before="", **files):
        text = (f"{before}\ntable inet t {{\n chain input {{\n  type filter hook input priority 0;"
                f" policy drop;\n{chain}\n }}\n}}\n")
        return Nftables(image({"/etc/n": text, **files}).root, "/etc/n")
    return make


@pytest.fixture
def ipt(image):
    def make(*rules, policy="DROP", chains=""):
        lines = "".join(f"{rule if rule.startswith('-') else '-A INPUT ' + rule}\n" for rule in [
            rule if rule.startswith(("-A", "-I")) else f"-A INPUT {rule}" for rule in rules])
        text = f"*filter\n:INPUT {policy} [0:0]\n{chains}{lines}COMMIT\n"
        return SavedRules(image({"/etc/r": text}).root, "/etc/r", None)
    return make


@pytest.mark.parametrize(("rule", "expected"), [  # ports 22, 80, 8005
    ("tcp dport 22 accept", "add"), ("tcp dport ssh accept", "add"),
    ("tcp dport { 22, 8000-8010 } counter accept", "ada"),
    ("tcp dport != 22 accept", "daa"), ("th dport 22 accept", "add"),
    ("udp dport 22 accept", "ddd"), ("udp dport != 53 accept", "ddd"),
    ("ip6 saddr != ::1 accept", "ddd"), ("ip saddr 0.0.0.0/0 accept", "aaa"),
    ("ip saddr 10.0.0.0/8 accept", "ddd"), ("ip saddr != 10.0.0.0/8 accept", "aaa"),
    ("ip daddr 127.0.0.1 accept", "ddd"), ("ip daddr 203.0.113.5 accept", "???"),
    ('iifname "lo" accept', "ddd"), ('iifname != "lo" accept', "aaa"),
    ('iifname "eth0" accept', "aaa"), ('iifname "ens3" accept', "???"), ("iif eth1 accept", "ddd"),
    ("ct state new accept", "aaa"), ("ct state { established, related } accept", "ddd"),
    ("ct state established, new accept", "aaa"),
    ("ct state vmap { established : accept, new : accept }", "aaa"),
    ("tcp dport vmap { 22 : accept, 80 : jump more }", "aad"),
    ("tcp dport vmap { 22:accept }", "add"),
    ('log prefix "accept drop " level info flags all accept', "aaa"),
    ("limit rate 5/second burst 7 packets accept", "aaa"),
    ("limit rate over 5/second accept", "ddd"),
    ("add @seen { ip saddr limit rate over 10/minute } accept", "ddd"),
    ("tcp flags & (fin|syn|rst|ack) != syn accept", "ddd"),
    ("tcp flags syn / fin,syn,rst,ack accept", "aaa"), ("tcp flags == 0x0 accept", "ddd"),
    ("meta l4proto { tcp, udp } tcp dport 22 accept", "add"), ("meta nfproto ipv6 accept", "ddd"),
    ("fib daddr type local accept", "aaa"),
    ("fib daddr type { broadcast, multicast } accept", "ddd"),
    ("jump more", "aaa"), ("goto back", "ddd"), ("reject with tcp reset", "ddd"),
    ("tcp dport 22 meta mark set 1", "ddd"), ("socket wildcard 0 accept", "???"),
    ("tcp dport . ip saddr { 22 . 10.0.0.1 } accept", "???"), ("ct count over 9 accept", "ddd"),
    ('tcp dport 22 accept comment "no; really } # this"', "add"),
    ("tcp dport @ports accept", "add"), ("tcp dport @empty accept", "???"),
    ("tcp dport $web accept", "daa"), ("queue num 1", "???"), ("accept", "aaa"),
])
def test_nft_rule(nft, rule, expected):
    before = ("define one = 8005\ndefine web = { 80, $one }\ntable inet t {\n"
              " set seen { type ipv4_addr; flags dynamic; }\n set empty { type inet_service; }\n"
              " set ports {\n  type inet_service\n  elements = { 22,\n 23 }\n }\n"
              " chain more { accept\n }\n chain back { return\n }\n}\n")
    assert fates(nft(rule, before=before), 22, 80, 8005) == expected


def test_nft_every_base_chain_must_accept(nft):
    inbound = nft("tcp dport 22 accept\n", before=(
        "table ip a { chain pre { type filter hook prerouting priority -150; tcp dport 22 drop; }\n"
        " chain nat { type nat hook prerouting priority -100; policy accept; }\n}\n"))
    assert fates(inbound, 22) == "d"
    assert fates(inbound, 22, family=6) == "a"


def test_nft_includes_and_commands(image):
    host = image({
        "/etc/n": '#!/usr/sbin/nft -f\nflush ruleset\ninclude "/etc/n.d/*.nft"\n'
                  'include "./n.d/rules"\n',
        "/etc/n.d/10.nft": "add table ip f\nadd chain ip f i { type filter hook input priority 0 ; "
                           "policy drop ; }\n",
        "/etc/n.d/rules": "add rule ip f i tcp dport 22 accept\n"
                          "insert rule ip f i tcp dport { 22, 80 } drop\nadd rule ip f i accept\n"
                          "table ip g {\n chain i { type filter hook input priority 1; policy "
                          "drop; }\n}\ndelete table ip g\n"})
    assert fates(Nftables(host.root, "/etc/n"), 22, 80, 443) == "dda"


@pytest.mark.parametrize("rule", [
    "jump a", "tcp dport $none accept", "jump gone",
])
def test_nft_undecided(nft, rule):
    before = "table inet t {\n chain a { jump b\n }\n chain b { jump a\n }\n}\n"
    with pytest.raises(Undecided):
        nft(rule, before=before).fates(Packet(22))


def test_nft_file_that_includes_itself(image):
    host = image({"/etc/n": 'include "/etc/n"\ninclude "/etc/n"\n'})
    with pytest.raises(Undecided, match="include each other"):
        Nftables(host.root, "/etc/n").fates(Packet(22))


@pytest.mark.parametrize(("rule", "expected"), [  # ports 22, 80, 8005
    ("-p tcp --dport 22 -j ACCEPT", "add"), ("-p tcp ! --dport 22 -j ACCEPT", "daa"),
    ("-p tcp --dport ! 22 -j ACCEPT", "daa"), ("-p tcp --dport=22 -j ACCEPT", "add"),
    ("-p tcp -m multiport --dports 22,8000:8010 -j ACCEPT", "ada"),
    ("-p udp --dport 22 -j ACCEPT", "ddd"), ("! -p udp -j ACCEPT", "aaa"),
    ("-s 0.0.0.0/0 -j ACCEPT", "aaa"), ("-s 10.0.0.0/8 -j ACCEPT", "ddd"),
    ("! -s 10.0.0.0/8 -j ACCEPT", "aaa"), ("-i lo -j ACCEPT", "ddd"), ("-i eth+ -j ACCEPT", "aaa"),
    ("-i ens3 -j ACCEPT", "???"), ("-d 224.0.0.0/4 -j ACCEPT", "ddd"),
    ("-d 203.0.113.5 -j ACCEPT", "???"), ("-m conntrack --ctstate NEW -j ACCEPT", "aaa"),
    ("-m state --state RELATED,ESTABLISHED -j ACCEPT", "ddd"), ("-p tcp --syn -j ACCEPT", "aaa"),
    ("-p tcp ! --syn -j ACCEPT", "ddd"), ("-p tcp --tcp-flags ALL NONE -j ACCEPT", "ddd"),
    ("-p tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT", "aaa"),
    ("-m addrtype --dst-type LOCAL -j ACCEPT", "aaa"), ("-m geoip --source-country DE -j ACCEPT",
                                                       "???"),
    ("-m set --match-set f2b src -j ACCEPT", "ddd"), ("-m set --match-set p dst -j ACCEPT", "???"),
    ("-m limit --limit 3/min -j ACCEPT", "aaa"), ("-m recent --rcheck --name x -j ACCEPT", "ddd"),
    ("-m unheardof -j ACCEPT", "???"), ("-j LOG --log-prefix \"-j ACCEPT \"", "ddd"),
    ("-j NFQUEUE --queue-num 1", "???"), ("-j C", "aaa"), ("-g D", "ddd"), ("-j D", "ddd"),
    ("-j ACCEPT -s 10.0.0.0/8", "ddd"), ("-m comment --comment \"a \\\"b\\\" -j DROP\" -j ACCEPT",
                                         "aaa"),
    ("-p tcp --dport ssh -j ACCEPT", "add"), ("-p tcp --dport odd-name -j ACCEPT", "???"),
])
def test_iptables_rule(ipt, rule, expected):
    inbound = ipt(rule, "-A C -p tcp -j ACCEPT", "-A D -j RETURN",
                  chains=":C - [0:0]\n:D - [0:0]\n")
    assert fates(inbound, 22, 80, 8005) == expected


def test_iptables_order_and_insert(ipt):
    assert fates(ipt("-j DROP", "-p tcp --dport 22 -j ACCEPT"), 22) == "d"
    assert fates(ipt("-j DROP", "-I INPUT -p tcp --dport 22 -j ACCEPT"), 22) == "a"
    assert fates(ipt("-j DROP", "-I INPUT 2 -p tcp --dport 22 -j ACCEPT"), 22) == "d"


def test_goto_does_not_come_back(ipt):
    inbound = ipt("-g C", "-j ACCEPT", "-A C -p udp -j ACCEPT", chains=":C - [0:0]\n")
    assert fates(inbound, 22) == "d"


def test_chains_that_fan_out_are_walked_once(ipt):
    """40 chains that each call the next twice: 2**40 ways, one answer."""
    rules = [f"-A C{n} -j C{n + 1}" for n in range(40) for _ in range(2)]
    inbound = ipt("-j C0", *rules, "-A C40 -p tcp --dport 22 -j ACCEPT",
                  chains="".join(f":C{n} - [0:0]\n" for n in range(41)))
    assert fates(inbound, 22, 80) == "ad"


def test_some_port(ipt):
    assert fates(ipt("-p tcp --dport 22 -j ACCEPT"), None) == "?"
    assert fates(ipt("-p tcp --dport 1:65535 -j ACCEPT"), None) == "a"
    assert Fate.DROP not in ipt("-s 192.0.2.1 -j DROP", policy="ACCEPT").fates(Packet(None))


@pytest.mark.parametrize(("config", "files", "expected"), [
    ("UsePAM yes\n", {}, (22,)), ("Port 22\nPort 2222\n", {}, (22, 2222)),
    ("ListenAddress 0.0.0.0:2222\n", {}, (2222,)), ("ListenAddress 0.0.0.0\nPort 24\n", {}, (24,)),
    ("ListenAddress [::]:26\nListenAddress 127.0.0.1:27\n", {}, (26,)),
    ("ListenAddress ::\n", {}, (22,)), (None, {}, ()),
    ("Port 22\n", {"/etc/systemd/system/ssh.socket.d/o.conf":
                   "[Socket]\nListenStream=\nListenStream=0.0.0.0:2200\nListenStream=[::]:2200\n"},
     (2200,)),
])
def test_ssh_ports(image, config, files, expected):
    socket = {"/usr/lib/systemd/system/ssh.socket": "[Socket]\nListenStream=22\n",
              "/etc/systemd/system/sockets.target.wants/ssh.socket": Link("x")} if files else {}
    assert image({"/etc/ssh/sshd_config": config, **socket, **files}).ssh_ports == expected


@pytest.mark.parametrize("text", ["S3cr3tW0rd\n", "table inet t { S3cr3tW0rd }\n",
                                  "add rule ip f i $S3cr3tW0rd\n", "define S3cr3tW0rd x\n"])
def test_nft_error_shows_nothing_of_the_file(image, text):
    with pytest.raises(Undecided) as error:
        Nftables(image({"/etc/n": text}).root, "/etc/n").fates(Packet(22))
    assert "S3cr3t" not in str(error.value)
