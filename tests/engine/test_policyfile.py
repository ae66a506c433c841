"""The policy file: what it may say, what is refused and where, and what becomes of findings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from img_tools import checking
from img_tools.host import Host
from img_tools.model import Finding, Report, Status, Undecided, Waiver, fail, warn
from img_tools.plugins import Plugin
from img_tools.policyfile import Policy, PolicyError, glob, load
from img_tools.report.json import render
from tests.engine.checking.common import plugin, yields
from tests.support import Fifo, Link, build, needs, validated

CHECKS = {"firewall": ("docker-bypass", "not-enabled"), "logs": ("log", "rotated-log"),
          "motd": ("missing",), "repositories": ("unsigned-repository",),
          "ssh-keys": ("authorized-key",), "own": None}  # own: a plugin that names no codes
TODAY = date(2026, 11, 26)

Written = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """written(text) -> the path of a policy file that root alone can write to."""
    needs(os.geteuid() == 0, "root to own the file")

    def make(text: str | bytes) -> str:
        build(tmp_path, {"/policy.toml": text})
        return str(tmp_path / "policy.toml")

    return make


WHOLE = """\
profile = "marketplace-2019"
disabled = ["motd"]
enabled = ["logs"]
lock_root = true
allowed_repositories = ["https://download.docker.com/linux"]
expected_logs = ["/var/log/app/*.log"]

[severity]
repositories = "fail"
"firewall/docker-bypass" = "fail"

[[waivers]]
check = "ssh-keys"
path = "/root/.ssh/authorized_keys"
justification = '''Our installer needs it
and removes it on first boot'''
expires = 2027-01-31

[[waivers]]
check = "firewall"
code = "docker-bypass"
fingerprint = "%s"
justification = "only 443 is published"
""" % ("0a" * 32)


def test_all_that_a_policy_may_say(written):
    path = written(WHOLE)
    assert load(path, CHECKS) == Policy(
        path=path, profile="marketplace-2019", disabled=("motd",), enabled=("logs",),
        lock_root=True,
        allowed_repositories=("https://download.docker.com/linux",),
        expected_logs=("/var/log/app/*.log",),
        severity={"repositories": Status.FAIL, "firewall/docker-bypass": Status.FAIL},
        waivers=(
            Waiver(check="ssh-keys", path="/root/.ssh/authorized_keys",
                   justification="Our installer needs it and removes it on first boot",
                   expires=date(2027, 1, 31)),
            Waiver(check="firewall", code="docker-bypass", fingerprint="0a" * 32,
                   justification="only 443 is published"),
        ))


def test_a_policy_that_says_nothing_has_no_say(written):
    """As the packages install it."""
    assert load(written("# nothing\n"), CHECKS) == Policy()
    path = written("disabled = []\n[severity]\n")
    assert load(path, CHECKS) == Policy(path=path)


WAIVER = '[[waivers]]\ncheck = "logs"\ncode = "log"\njustification = "j"\n'


@pytest.mark.parametrize(("text", "line", "words"), [
    ("disabled = [", None, "not TOML: "),
    ("a = 1\nb = 'x\nc = 1\n", None, "not TOML: "),
    ("a = 1\na = 2\n", 2, "not TOML: "),
    ("\0", 1, "not TOML: "),
    (b"a = '\xff'\n", None, "not TOML: 'utf-8' codec"),
    ("a = " + "[" * 5000, None, "not TOML: nested too deeply"),
    ('\nprofile = "marketplce"\n', 2, "no profile 'marketplce'; did you mean marketplace"),
    ("profile = 7\n", 1, "profile must be a string"),
    ('dissabled = ["logs"]\n', 1, "unknown key 'dissabled'; did you mean disabled or enabled?"),
    ('lock-root = true\n', 1, "unknown key 'lock-root'; did you mean lock_root?"),
    ("[waivers]\n", 1, "waivers must be tables: [[waivers]]"),
    ('[[waiver]]\ncheck = "logs"\n', 1, "unknown key 'waiver'; did you mean waivers?"),
    ('disabled = [\n  "logs",\n  "mtd",\n]\n', 3, "disabled: no check 'mtd'; did you mean motd?"),
    ('disabled = ["logs"]\nenabled = ["logs"]\n', None, "'logs' is both enabled and disabled"),
    ('enabled = ["lgs"]\n', 1, "enabled: no check 'lgs'; did you mean logs?"),
    ('disabled = "logs"\n', 1, "disabled must be a list of check ids"),
    ("disabled = [7]\n", 1, "disabled must be a list of check ids"),
    ("lock_root = 1\n", 1, "lock_root must be true or false"),
    ('lock_root = "yes"\n', 1, "lock_root must be true or false"),
    ('allowed_repositories = "https://x/"\n', 1, "must be a list of addresses"),
    ('allowed_repositories = ["docker"]\n', 1, "'docker' is not the beginning of an address"),
    ('allowed_repositories = ["https://"]\n', 1, "is not the beginning of an address"),
    ('allowed_repositories = ["https://u:p@x/"]\n', 1, "is not the beginning of an address"),
    ('expected_logs = ["/var/log/*"]\n', 1, "expected_logs: '/var/log/*' must name files"),
    ('expected_logs = ["/var/log/**"]\n', 1, "expected_logs: "),
    ('expected_logs = ["/var/log/"]\n', 1, "expected_logs: "),
    ('expected_logs = ["/etc/shadow"]\n', 1, "expected_logs: "),
    ('expected_logs = ["/var/log/a/../../../etc/shadow"]\n', 1, "expected_logs: "),
    ('expected_logs = ["/var/log/app/*/x.log"]\n', 1, "wildcards in the last name alone"),
    ('severity = "fail"\n', 1, "severity must be a table"),
    ('[severity]\nlgs = "fail"\n', 2, "severity: no check 'lgs'; did you mean logs?"),
    ('[severity]\n"lgs/log" = "fail"\n', 2, "severity: no check 'lgs'; did you mean logs?"),
    ('[severity]\nlogs = "pass"\n', 2, "'logs' must be \"warn\" or \"fail\"; to leave"),
    ("[severity]\nlogs = 1\n", 2, "must be \"warn\" or \"fail\""),
    ('[severity]\n"logs/Not A Code" = "fail"\n', 2, "must be a check id, or id/code"),
    ('[severity]\n"firewall/docker-bypas" = "fail"\n', 2,
     "severity: firewall has no finding 'docker-bypas'; did you mean docker-bypass? "
     "(img-check --explain firewall shows them)"),
    ('[severity]\n"logs/zzz" = "fail"\n', 2,
     "severity: logs has no finding 'zzz' (img-check --explain logs shows them)"),
    (WAIVER + WAIVER.replace('"log"', '"rotated-logs"'), 7,
     "waivers: logs has no finding 'rotated-logs'; did you mean rotated-log"),
    (WAIVER.replace('"logs"', '"lgs"'), 2, "waivers: no check 'lgs'; did you mean logs?"),
    (WAIVER + WAIVER.replace("code", "cod"), 7, "unknown key 'cod'; did you mean code?"),
    (WAIVER + WAIVER.replace('"j"', '" \t"'), 8, "justification must be a sentence"),
    (WAIVER + WAIVER.replace('"j"', "7"), 8, "justification must be a sentence"),
    (WAIVER + '[[waivers]]\ncheck = "logs"\ncode = "log"\n', 5, "justification is missing"),
    (WAIVER + '[[waivers]]\ncode = "log"\njustification = "j"\n', 5, "check is missing"),
    (WAIVER + '[[waivers]]\ncheck = "logs"\njustification = "j"\n', 5, "which findings?"),
    (WAIVER.replace('"log"', '"Log"'), 3, "code must be the code of a finding"),
    (WAIVER + 'path = "etc/x"\n', 5, "path must be a path or glob that begins with /"),
    (WAIVER + 'fingerprint = "0A"\n', 5, "fingerprint must be 64 hexadecimal digits"),
    (WAIVER + 'expires = "2027-01-31"\n', 5, "expires must be a day without quotes"),
    (WAIVER + "expires = 2027-01-31T00:00:00Z\n", 5, "expires must be a day without quotes"),
    (WAIVER + "expires = 2027\n", 5, "expires must be a day"),
    ('waivers = ["x"]\n', 1, "waivers must be tables"),
    ('waivers = [{code = "x"}, {check = "lgs"}]\n', None, "waivers: check is missing"),
    ('[severity]\n\x0b', 2, "not TOML"),
])
def test_what_is_not_understood_is_refused_with_its_line(written, text, line, words):
    path = written(text)
    with pytest.raises(PolicyError) as raised:
        load(path, CHECKS)
    assert str(raised.value).startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert words in str(raised.value)


def test_a_check_that_names_no_codes_may_have_any(written):
    """Of /etc/img-tools/checks, say, and written before there was CODES."""
    text = '[severity]\n"own/anything" = "fail"\n' + WAIVER.replace('"logs"', '"own"')
    found = load(written(text), CHECKS)
    assert (list(found.severity), found.waivers[0].code) == (["own/anything"], "log")


def test_a_line_that_is_not_sure_is_not_told(written):
    path = written("justification = 1\n" + WAIVER + '\n[[waivers]]\ncheck = "logs" # check\n'
                   'code = """\ncheck\n"""\n')
    with pytest.raises(PolicyError, match="unknown key 'justification'"):
        load(path, CHECKS)
    with pytest.raises(PolicyError, match=rf"^{path}: disabled: no check 'x'"):
        load(written('disabled = ["x",\n"x"]\n'), CHECKS)


# -- who may have written it -----------------------------------------------------------------------


def test_a_policy_must_be_root_s_alone(written, tmp_path):
    """Whoever could write it could have the image pass."""
    path = written("")
    os.chown(path, 1000, 0)
    with pytest.raises(PolicyError, match=rf"^{path}: must belong to root .*chown -h root {path}"):
        load(path, CHECKS)
    os.chown(path, 0, 0)
    os.chmod(path, 0o664)
    with pytest.raises(PolicyError, match="writable by root alone"):
        load(path, CHECKS)
    os.chmod(path, 0o600)
    os.chmod(tmp_path, 0o777)
    with pytest.raises(PolicyError, match=rf"{tmp_path} must belong to root"):
        load(path, CHECKS)


def test_every_link_on_the_way_must_be_root_s(written, tmp_path):
    """PATH -> LINK -> FILE: who owns LINK could turn it after it was looked at."""
    written('disabled = ["logs"]\n')
    build(tmp_path, {"/path.toml": Link("link"), "/link": Link("sub/../policy.toml"), "/sub": {}})
    path = str(tmp_path / "path.toml")
    assert load(path, CHECKS).disabled == ("logs",)
    os.chmod(tmp_path / "sub", 0o777)
    with pytest.raises(PolicyError, match=f"{tmp_path}/sub must belong to root"):
        load(path, CHECKS)
    os.chmod(tmp_path / "sub", 0o755)
    os.lchown(tmp_path / "link", 1000, 1000)
    with pytest.raises(PolicyError, match=f"{tmp_path}/link must belong to root"):
        load(path, CHECKS)


def test_an_address_with_a_password_is_refused_without_it(written):
    with pytest.raises(PolicyError) as raised:
        load(written('allowed_repositories = ["https://u:s3cr3t@x/y"]\n'), CHECKS)
    assert "https://...@x/y" in str(raised.value)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(("what", "words"), [
    ({}, "not a file"), (Fifo(), "not a file"), (Link("nowhere"), "No such file"),
    (Link("policy.toml"), "Too many levels|No such file|not a file"),
    ("#" * (1 << 20) + "\n", "larger than 1048576"),
])
def test_what_is_no_file_of_a_sane_size_is_refused_without_waiting(tmp_path, what, words):
    needs(os.geteuid() == 0, "root to own the file")
    build(tmp_path, {"/policy.toml": what})
    with pytest.raises(PolicyError, match=words):
        load(str(tmp_path / "policy.toml"), CHECKS)


# -- what fits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pattern", "path", "fits"), [
    ("/a/b", "/a/b", True), ("/a/b", "/a/bc", False), ("/a/b", "/a/b/c", False),
    ("/a/*", "/a/b", True), ("/a/*", "/a/b/c", False), ("/a/*", "/a/", True),
    ("/a/**", "/a/b/c", True), ("/a/**", "/ab/c", False), ("/**/c", "/a/b/c", True),
    ("/a/?", "/a/b", True), ("/a/?", "/a//", False), ("/a/[b]", "/a/b", False),
    ("/a/[b]", "/a/[b]", True), ("/a.b", "/axb", False), ("/a/*", "/a/b\nc", True),
    ("/a", "/a\n", False),
])
def test_globs(pattern, path, fits):
    assert bool(glob(pattern)(path)) is fits


def waiver(**given: object) -> Waiver:
    return Waiver(**{"check": "logs", "justification": "j", **given})  # type: ignore[arg-type]


LOG = fail("log", "a log", path="/var/log/x", account="ann")


@pytest.mark.parametrize(("given", "fits"), [
    ({"code": "log"}, True), ({"code": "lo"}, False), ({"path": "/var/log/*"}, True),
    ({"path": "/var/log"}, False), ({"code": "log", "path": "/etc/*"}, False),
    ({"code": "other", "path": "/var/log/x"}, False), ({"check": "motd", "code": "log"}, False),
    ({"fingerprint": LOG.fingerprint("logs")}, True),
    ({"fingerprint": LOG.fingerprint("motd")}, False),
    ({"fingerprint": LOG.fingerprint("logs"), "path": "/nowhere"}, False),
    ({"code": "log", "expires": TODAY}, True),
    ({"code": "log", "expires": date(2026, 11, 25)}, False),
])
def test_everything_that_a_waiver_names_must_fit_and_its_day_not_be_over(given, fits):
    one = waiver(**given)
    assert Policy(waivers=(one,)).judge("logs", LOG, TODAY).waived == (one if fits else None)


def test_a_finding_that_counts_the_rest_is_waived_by_its_code_alone():
    """Or a waiver for some paths would take along others that were not even listed."""
    rest = fail("log", "70 in all", evidence={"count": 70})
    for one, fits in ((waiver(path="/**"), False), (waiver(code="log"), True),
                      (waiver(fingerprint=rest.fingerprint("logs")), False)):
        assert bool(Policy(waivers=(one,)).judge("logs", rest, TODAY).waived) is fits


@pytest.mark.parametrize(("rules", "status"), [
    ({"logs": "warn"}, "warn"), ({"logs/log": "warn"}, "warn"), ({"logs/other": "warn"}, "fail"),
    ({"motd": "warn"}, "fail"), ({"logs": "warn", "logs/log": "fail"}, "fail"),
])
def test_a_code_outranks_its_check(rules, status):
    policy = Policy(severity={key: Status(value) for key, value in rules.items()})
    judged = policy.judge("logs", LOG, TODAY)
    assert judged.status == status
    assert judged.severity_was == (None if status == "fail" else Status.FAIL)


@pytest.mark.parametrize(("allowed", "uri", "fits"), [
    ("https://x.org/a", "https://x.org/a", True), ("https://x.org/a", "https://x.org/a/b/", True),
    ("https://x.org/a/", "https://x.org/a", True), ("https://x.org", "https://x.org/a", True),
    ("https://x.org", "https://x.org.evil.net/a", False),
    ("https://x.org/a", "https://x.org/ab", False), ("https://x.org", "http://x.org/", False),
])
def test_a_repository_is_allowed_by_whole_parts_of_its_address(allowed, uri, fits):
    assert Policy(allowed_repositories=(allowed,)).allows_repository(uri) is fits


# -- what becomes of a report ----------------------------------------------------------------------


@pytest.fixture
def judged(image: Callable[..., Host]) -> Callable[..., Report]:
    """judged(policy, plugin, ...) -> the report, its JSON valid, on the day TODAY."""

    def make(policy: Policy, *plugins: Plugin) -> Report:
        host = image()
        host.policy, host.today = policy, TODAY
        report = checking.report(host, plugins, jobs=1, timeout=20)
        validated(render(report))
        return report

    return make


WARNING = warn("odd", "odd", path="/etc/odd")


@pytest.mark.parametrize(("found", "rules", "codes", "status", "incomplete"), [
    ([LOG], {}, ["log"], "pass", False),
    ([LOG, WARNING], {}, ["log"], "warn", False),
    ([LOG, WARNING], {}, ["odd"], "fail", False),
    ([WARNING], {"logs": "fail"}, [], "fail", False),
    ([WARNING], {"logs": "fail"}, ["odd"], "pass", False),
    ([LOG, Undecided("why")], {}, ["log"], "error", False),
    ([LOG, Undecided("why")], {"logs": "warn"}, [], "error", False),
    ([WARNING, Undecided("why")], {"logs": "fail"}, [], "fail", True),
    ([Undecided("why")], {}, ["log"], "error", False),
])
def test_no_waiver_makes_a_pass_of_what_could_not_be_told(judged, found, rules, codes, status,
                                                          incomplete):
    policy = Policy(severity={key: Status(value) for key, value in rules.items()},
                    waivers=tuple(waiver(code=code) for code in codes))
    (result,) = judged(policy, plugin(yields(*found), "logs")).results
    assert (result.status.value, result.incomplete) == (status, incomplete)
    assert len(result.findings) == sum(isinstance(one, Finding) for one in found)


def test_waivers_are_accounted_for(judged):
    applied, unused = waiver(code="log"), waiver(path="/nowhere")
    expired = waiver(code="odd", expires=date(2026, 1, 1))
    others = [waiver(check=name, code="x") for name in ("undecided", "skipped", "not-run")]
    report = judged(
        Policy(path="/p.toml", waivers=(applied, unused, expired, *others)),
        plugin(yields(LOG, replace(LOG, path="/var/log/y"), WARNING), "logs"),
        plugin(yields(Undecided("why")), "undecided"))
    document = validated(render(report))
    assert document["run"]["policy"] == "/p.toml"
    assert document["counts"]["waived"] == 2
    assert (document["verdict"], document["counts"]["warn"]) == ("error", 1)
    assert document["waivers"] == {
        "applied": [{"check": "logs", "code": "log", "path": None, "fingerprint": None,
                     "justification": "j", "expires": None, "findings": 2}],
        "unused": [{"check": "logs", "code": None, "path": "/nowhere", "fingerprint": None,
                    "justification": "j", "expires": None}],
        "expired": [{"check": "logs", "code": "odd", "path": None, "fingerprint": None,
                     "justification": "j", "expires": "2026-01-01"}],
    }
    odd, *logs = document["checks"][0]["findings"]
    assert odd["waived"] is None
    assert [one["waived"] for one in logs] == [{"justification": "j", "expires": None}] * 2


def test_a_severity_that_the_policy_changed_is_seen(judged):
    report = judged(Policy(severity={"logs": Status.WARN}), plugin(yields(LOG), "logs"))
    (check,) = validated(render(report))["checks"]
    assert (check["status"], check["findings"][0]["severity_was"]) == ("warn", "fail")
