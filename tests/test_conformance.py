"""Every check against the contract: what it says of itself, and that no tree makes it fall over."""

from __future__ import annotations

import ast
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from img_tools import checking
from img_tools.catalogue import CATALOGUE
from img_tools.host import Host
from img_tools.model import Report, Result, Status
from img_tools.plugins import load
from img_tools.report import html, json, junit, markdown, text
from img_tools.rootfs import RootFS
from img_tools.runner import Completed, Runner
from tests.conftest import BASE
from tests.support import Fifo, File, Link, NoCommands, build, dpkg, validated

ROOT = Path(__file__).parents[1]
PLUGINS = load("img_tools.checks", "check")
IDS = [plugin.id for plugin in PLUGINS]
CATEGORIES = {
    "accounts",  # who is there and with which password
    "boot",  # whether a clone comes up
    "cloud-init",  # whether a clone sets itself up
    "identity",  # what must differ between clones
    "network",
    "packages",
    "provider",  # what DigitalOcean asks for beside the rest
    "release",
    "secrets",
    "ssh",
    "traces",  # what the build left behind
}

each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=IDS)


# -- what a check says of itself -------------------------------------------------------------------


@each_plugin
def test_the_title_states_what_is_wanted(plugin):
    assert 15 <= len(plugin.title) <= 80
    assert plugin.title[0].isupper() or plugin.title.startswith("cloud-init")
    assert not plugin.title.endswith((".", "!", ":"))
    assert not re.match("(Check|Test|Verify|Make sure|Ensure)", plugin.title)
    assert plugin.title.isascii()


@each_plugin
def test_the_explanation_says_what_why_and_what_to_do(plugin):
    docstring = ast.get_docstring(ast.parse(Path(plugin.source).read_text("utf-8")), clean=False)
    assert docstring is not None
    assert docstring.split("\n")[1] == "", "an empty line follows the title"
    assert len(plugin.explanation) >= 150
    assert all(len(line) <= 100 for line in plugin.explanation.splitlines())


@each_plugin
def test_it_names_its_category_and_where_the_rule_comes_from(plugin):
    assert plugin.category in CATEGORIES
    assert plugin.references
    assert all(reference.strip() == reference and len(reference) > 5
               for reference in plugin.references)
    assert any("https://" in reference for reference in plugin.references), "no source to read"


@each_plugin
def test_it_names_the_codes_of_its_findings(plugin):
    """All that its source spells out, at least; tests.support.check() sees to the others."""
    tree = ast.parse(Path(plugin.source).read_text("utf-8"))
    spelled = {node.args[0].value for node in ast.walk(tree)
               if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
               and node.func.id in ("fail", "warn", "report") and node.args
               and isinstance(node.args[0], ast.Constant)}
    assert plugin.codes
    assert spelled <= set(plugin.codes)


@each_plugin
def test_it_has_tests_of_its_own(plugin):
    name = plugin.id.replace("-", "_")
    tests = ROOT / "tests" / "checks" / f"test_{name}.py"
    assert tests.exists()
    assert len(re.findall("^def test_", tests.read_text("utf-8"), re.M)) >= 2


@each_plugin
def test_it_is_short(plugin):
    """A topic a file, to be read in one go."""
    tree = ast.parse(Path(plugin.source).read_text("utf-8"))
    assert len(Path(plugin.source).read_text("utf-8").splitlines()) <= 200
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 45, node.name


def test_every_topic_of_the_catalogue_is_read_by_the_check_of_that_name():
    """A topic is the id of the check, and of the cleaner to come, that read its rows."""
    assert {row.topic for row in CATALOGUE} <= set(IDS)


# -- trees -----------------------------------------------------------------------------------------


class Babbling(NoCommands):
    """An image whose programs succeed and talk nonsense."""

    def __call__(self, *argv: str, ok: Sequence[int] = (0,), env: Mapping[str, str] | None = None,
                 timeout: float | None = None) -> Completed:
        return Completed(argv, ok[0], "\x1b[31m: \udcff\n\n;;=\t\0 -1 {[\"'\n" * 50, "\x1b[2J\n")


def examine(top: Path, runner: type[Runner] = NoCommands, refresh: bool = False) -> Report:
    """Every check over the tree TOP."""
    host = Host(RootFS(str(top)), runner(str(top)), refresh=refresh)
    try:
        return checking.report(host, PLUGINS, jobs=8, timeout=60)
    finally:
        host.close()


def fell_over(report: Report) -> list[str]:
    """What a check's own author must mend."""
    return [f"{result.id}: {result.message}" for result in report.results
            if "the check itself failed" in result.message or "took longer" in result.message]


def output(report: Report) -> str:
    """All that a user may get to see."""
    as_json = json.render(report)
    validated(as_json)
    shown = text.render(report, verbose=True) + "".join(
        form.render(report) for form in (junit, markdown, html))
    assert all(line.isprintable() for line in shown.splitlines())
    return shown + as_json


def by_id(report: Report) -> dict[str, Result]:
    return {result.id: result for result in report.results}


@pytest.mark.parametrize("refresh", [False, True])
@pytest.mark.parametrize("files", [{}, {"/etc": {}}, {
    "/etc/os-release": BASE["/etc/os-release"], "/etc/passwd": BASE["/etc/passwd"]}],
    ids=["nothing", "etc", "os-release and passwd"])
def test_an_empty_tree_makes_no_check_fall_over(tmp_path, files, refresh):
    build(tmp_path, files)
    report = examine(tmp_path, refresh=refresh)
    assert fell_over(report) == []
    output(report)
    assert report.verdict in (Status.FAIL, Status.ERROR), "an empty directory is no image"


def test_nonsense_from_commands_makes_no_check_fall_over_and_proves_nothing(tmp_path):
    build(tmp_path, {**BASE, "/var/lib/dpkg/status": dpkg(apt="2.6.1", openssh_server="1:9.2p1-2"),
                     "/etc/apt/sources.list": "deb http://deb.debian.org/debian bookworm main\n",
                     "/tmp": {}})
    for refresh in (False, True):
        report = examine(tmp_path, Babbling, refresh=refresh)
        assert fell_over(report) == []
        output(report)
        found = by_id(report)
        for name in ("security-updates", "package-updates"):
            assert found[name].status is Status.ERROR, found[name]


# -- hostile trees ---------------------------------------------------------------------------------


@cache
def places() -> list[str]:
    """Every path that the catalogue or any source names; `~` becomes two homes, `*` a name."""
    found = {row.pattern for row in CATALOGUE}
    for directory in ("checks", "img_tools"):
        for path in (ROOT / directory).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    made = set()
    for one in found:
        if re.fullmatch(r"[~/][\w.~*?@+/{}\[\]-]+", one) and not one.startswith(("/proc", "/sys")):
            one = one.replace("**", "some/where").replace("*", "x").replace("?", "0")
            one = re.sub(r"\[.(.*?)\]", "0", one).strip("/")
            one = re.sub(r"\{.*?\}", "x", one)
            made |= {f"/root{one[1:]}", f"/home/ann{one[1:]}"} if one[:1] == "~" else {f"/{one}"}
    return sorted(made - {"/"})


def occupy(top: Path, what: Callable[[str], object], *, outer: bool, spare: bool) -> int:
    """Put WHAT(path) at every place; returns at how many.

    OUTER fills the directories themselves, so that what lies below cannot be there; otherwise the
    innermost names. With SPARE the files that say what system it is stay good.
    """
    done = 0
    if spare:
        build(top, GOOD)
    for path in sorted(places(), key=lambda path: (path.count("/"), path), reverse=not outer):
        if spare and path in KEPT:
            continue
        try:
            if not os.path.lexists(f"{top}{path}"):
                build(top, {path: what(path)})
                done += 1
        except OSError:  # something hostile stands where its directory would be
            continue
    return done


GOOD = {
    **BASE,
    "/etc/passwd": f"{BASE['/etc/passwd']}ann:x:1000:1000:Ann:/home/ann:/bin/bash\n",
    "/etc/shadow": f"{BASE['/etc/shadow']}ann:!:20000:0:99999:7:::\n",
    "/var/lib/dpkg/status": dpkg(apt="2.6.1", cloud_init="22.4.2-1", openssh_server="1:9.2p1-2",
                                 ufw="0.36.2-1", systemd="252.1"),
    "/home/ann": {},
}
# Their directories stay directories in an outer tree, or nothing of them would be left.
KEPT = {"/etc", "/root", "/home", "/home/ann", "/var", "/var/lib", "/var/lib/dpkg", *GOOD}
CANARY = "CANARY-OF-THE-HOST"

HOSTILE: dict[str, Callable[[Path], Callable[[str], object]]] = {
    "named pipes": lambda outside: lambda path: Fifo(),
    "directories": lambda outside: lambda path: {},
    "loops": lambda outside: lambda path: Link(os.path.basename(path)),
    "links out": lambda outside: lambda path: Link(f"{outside}/canary"),
    "links up": lambda outside: lambda path: Link("../" * 40 + f"{outside}/canary"[1:]),
    "links to directories": lambda outside: lambda path: Link(str(outside)),
    "links to the top": lambda outside: lambda path: Link("/"),
    "huge files": lambda outside: lambda path: File(b"\n", size=1 << 30),
    "noise": lambda outside: lambda path: bytes(range(256)) * 20,
    "empty files": lambda outside: lambda path: "",
    "one long line": lambda outside: lambda path: "a:b=c " * 50000,
    "open brackets": lambda outside: lambda path: "[{(\"'" * 5000,
    "nested": lambda outside: lambda path: "".join(f"{' ' * n}a:\n" for n in range(500)),
    "many lines": lambda outside: lambda path: "x y=1:2 # z\n" * 20000,
    "executables": lambda outside: lambda path: File("#!/bin/sh\nexit 1\n", mode=0o4755),
}


@pytest.mark.parametrize("spare", [True, False], ids=["system known", "nothing known"])
@pytest.mark.parametrize("outer", [True, False], ids=["outer", "inner"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_hostile_tree_makes_a_check_fall_over(tmp_path, kind, outer, spare):
    (tmp_path / "outside").mkdir()
    for name in ("canary", "passwd", "os-release", "authorized_keys", "x"):
        (tmp_path / "outside" / name).write_text(f"{CANARY}\n")
    top = tmp_path / "image"
    top.mkdir()
    assert occupy(top, HOSTILE[kind](tmp_path / "outside"), outer=outer, spare=spare) > 20
    started = time.monotonic()
    report = examine(top)
    assert fell_over(report) == []
    assert CANARY not in output(report)
    assert time.monotonic() - started < 45
    assert (tmp_path / "outside/canary").read_text() == f"{CANARY}\n"


# -- secrets ---------------------------------------------------------------------------------------

SECRET = "S3cr3tW0rd"
HASH = f"$6$saltsalt${SECRET}{'a' * 70}"
TOKEN = "dop_v1_" + "0f" * 32
KEY_LINE = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
PRIVATE = (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY_LINE}\n"
           "-----END OPENSSH PRIVATE KEY-----\n")
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIFZ0bGVzc1NlY3JldFNlY3JldFNlY3JldFNlY3JldFNl"
ESCAPE = "\x1b]0;owned\x07\x1b[31m\x9b2J"
UNSPEAKABLE = (SECRET, TOKEN, KEY_LINE, BLOB, "\x1b", "\x9b", "\x07")
SOUP = (f"password={SECRET}\n{SECRET}\npasswd: {SECRET}\nexport TOKEN={TOKEN} {ESCAPE}\n"
        f"mysql -u root -p{SECRET}\nhttps://user:{SECRET}@example.net/x\n"
        f"root:{HASH}:20000:0:99999:7:::\n{PRIVATE}ssh-ed25519 {BLOB} key\n"
        f"deb https://user:{SECRET}@example.net/debian bookworm main\n"
        f"//host/share /mnt cifs username=a,password={SECRET} 0 0\n"
        f"ann ALL=(ALL) NOPASSWD: /bin/sh {SECRET}\nSetEnv PASSWORD={SECRET}\n"
        f"#!/bin/sh\n{SECRET}\n[global]\nkey = {SECRET}\n")
PLANTED = {
    "/etc/passwd": f"root:x:0:0:root:/root:/bin/bash\ntoor:{HASH}:0:0::/root:/bin/sh\n"
                   f"ann:x:1000:1000:{SECRET}:/home/ann:/bin/bash\nbroken:{SECRET}\n{SECRET}\n",
    "/etc/passwd-": f"root:{HASH}:0:0:root:/root:/bin/bash\n",
    "/etc/shadow": f"root:{HASH}:20000:0:99999:7:::\nann:!{HASH}:20000:0:99999:7:::\n{SECRET}\n"
                   f"plain:{SECRET}:20000:0:99999:7:::\n",
    "/etc/shadow-": f"ann:{HASH}:20000:0:99999:7:::\n",
    "/etc/gshadow": f"wheel:{HASH}::ann\nsudo:{SECRET}::\n",
    "/etc/group": f"wheel:{HASH}:10:ann\n",
    "/root/.ssh/id_ed25519": PRIVATE,
    "/root/.ssh/authorized_keys": f'command="{SECRET}",environment="T={TOKEN}" ssh-ed25519 {BLOB} '
                                  f"key{ESCAPE}\n{SECRET} {SECRET}\n",
    "/home/ann/.ssh/config": f"Host x\n  ProxyCommand {SECRET}\n",
    "/etc/ssh/ssh_host_ed25519_key": PRIVATE,
    "/etc/ssh/sshd_config": f"Port 22\nSetEnv T={SECRET}\nForceCommand {SECRET}\n{SECRET} {TOKEN}\n"
                            f"Match User root\n  ForceCommand echo {SECRET}\n",
    "/etc/sudoers": f"root ALL=(ALL) ALL\nann ALL=(ALL) NOPASSWD: ALL # {SECRET}\n"
                    f"Cmnd_Alias X = /bin/{SECRET}\n",
    "/etc/apt/sources.list": f"deb https://user:{SECRET}@example.net/debian bookworm main\n"
                             f"deb [trusted=yes] https://{TOKEN}@example.net/x /\n{SECRET}\n",
    "/etc/apt/sources.list.d/x.sources": f"Types: deb\nURIs: https://u:{SECRET}@example.net/y\n"
                                         f"Suites: stable\nComponents: {SECRET}\n",
    "/etc/fstab": f"//host/share /mnt cifs username=a,password={SECRET} 0 0\n{SECRET}\n",
    "/etc/cloud/cloud.cfg.d/99.cfg": f"users:\n- name: ann\n  passwd: {HASH}\n"
                                     f"chpasswd: {{list: 'root:{SECRET}'}}\ndatasource_list: "
                                     f"[ '{SECRET}' ]\n",
    "/etc/netplan/50.yaml": f"network:\n  wifis:\n    w0:\n      access-points:\n        x:\n"
                            f"          password: {SECRET}\n",
    "/etc/update-motd.d/99-x": File(f"#!/bin/sh -c {SECRET}\necho {SECRET}\n", mode=0o755),
    "/var/lib/cloud/scripts/per-instance/001-x": f"#!/usr/bin/env T={SECRET} sh\necho {TOKEN}\n",
    "/root/.bashrc": f"export T={TOKEN}\n/opt/x/first-login {SECRET}\n",
    "/etc/ufw/user.rules": f"*filter\n-A x -m comment --comment {SECRET}\n{SECRET}\nCOMMIT\n",
    "/etc/nftables.conf": f'table inet f {{ chain i {{ {SECRET} "{TOKEN}" }} }}\n',
    "/etc/crontab": f"* * * * * root mysql -p{SECRET}\n",
    "/etc/default/grub": f'GRUB_CMDLINE_LINUX="token={TOKEN} {SECRET}"\n',
    "/var/log/auth.log": f"{SECRET} {TOKEN} {ESCAPE}\n",
}


@pytest.mark.parametrize("known", [True, False], ids=["system known", "nothing known"])
def test_no_check_ever_shows_a_secret(tmp_path, known):
    build(tmp_path, PLANTED)
    if known:
        build(tmp_path, {path: what for path, what in GOOD.items() if path not in PLANTED})
    for path in sorted(places(), key=lambda path: path.count("/"), reverse=True):
        if not os.path.lexists(f"{tmp_path}{path}"):
            build(tmp_path, {path: File(SOUP, mode=0o755)})
    report = examine(tmp_path)
    assert fell_over(report) == []
    shown = output(report)
    assert [one for one in UNSPEAKABLE if one in shown] == []
    found = by_id(report)
    for name in ("passwords", "ssh-keys", "shell-history", "ssh-host-keys"):
        assert found[name].status is Status.FAIL


# -- names -----------------------------------------------------------------------------------------


def odd_names() -> Iterator[str]:
    for directory in ("/root", "/home/ann", "/home/ann/.ssh", "/root/.ssh", "/var/log", "/tmp",
                      "/etc/ssh", "/etc/cron.d", "/etc/update-motd.d", "/etc/sudoers.d",
                      "/etc/apt/sources.list.d", "/var/lib/cloud/scripts/per-instance",
                      "/etc/cloud/cloud.cfg.d", "/etc/netplan", "/var/mail", "/var/crash", "/opt",
                      "/etc/network/interfaces.d", "/boot", "/etc/systemd/system", "/var/tmp"):
        for name in ("\x1b[31mred", "new\nline", os.fsdecode(b"\xff\xfe"), "$(reboot)", "-rf",
                     " blank ", "'", '"', "x" * 255, "\u202etxt", "*", "%s%n", "\\"):
            for suffix in ("", ".log", ".list", ".cfg", ".yaml", ".conf", ".service"):
                yield f"{directory}/{name[:255 - len(suffix)]}{suffix}"


def test_odd_names_arrive_as_text_and_are_quoted_in_commands(tmp_path):
    build(tmp_path, GOOD)
    build(tmp_path, {path: File("x\n", mode=0o755) for path in odd_names()})
    report = examine(tmp_path)
    assert fell_over(report) == []
    output(report)
    for result in report.results:
        for finding in result.findings:
            assert not re.search(r"^[^'\"]*\$\(reboot\)", finding.remediation or ""), finding
