import hashlib
import os

import pytest

from img_tools import checking
from img_tools.model import Note, Status
from img_tools.plugins import load
from tests.support import Fifo, File, Link, check, dpkg

# Made up here and now: a repository that holds tokens is refused by those who host it.
HEX, ALNUM = "0123456789abcdef" * 10, "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0hJ" * 9
UPPER = "Q7XWMZ2DKP4RTS6NHV3B" * 5
B64 = ALNUM + "+/"
SAMPLES = [
    ("digitalocean-token", "dop_v1_" + HEX[:64]),
    ("digitalocean-token", "doo_v1_" + HEX[:64]),
    ("github-token", "ghp_" + ALNUM[:36]),
    ("github-token", "ghs_" + ALNUM[:36]),
    ("github-token", "github_pat_" + ALNUM[:22] + "_" + ALNUM[:59]),
    ("npm-token", "npm_" + ALNUM[:36]),
    ("rubygems-token", "rubygems_" + HEX[:48]),
    ("docker-token", "dckr_pat_" + "aB-" + ALNUM[:24]),
    ("stripe-key", "sk_live_" + ALNUM[:24]),
    ("stripe-key", "rk_live_" + ALNUM[:99]),
    ("stripe-test-key", "sk_test_" + ALNUM[:24]),
    ("stripe-webhook-secret", "whsec_" + ALNUM[:32]),
    ("huggingface-token", "hf_" + ALNUM[:34]),
    ("grafana-token", "glsa_" + ALNUM[:32] + "_" + HEX[:8]),
    ("grafana-token", "glc_" + ALNUM[:60]),
    ("shopify-token", "shpat_" + HEX[:32]),
    ("groq-key", "gsk_" + ALNUM[:52]),
    ("replicate-token", "r8_" + ALNUM[:37]),
    ("supabase-token", "sbp_" + HEX[:40]),
    ("linear-key", "lin_api_" + ALNUM[:40]),
    ("sentry-token", "sntryu_" + HEX[:64]),
    ("aws-secret-key", "aws_secret_access_key = " + B64[-40:]),
    ("aws-secret-key", 'export AWS_SECRET_ACCESS_KEY="' + B64[-40:] + '"'),
    ("google-service-account", '{"type": "service_account", "private_key": "-----BEGIN PRIVATE '
     'KEY-----\\n' + ALNUM[:64] + '\\n"}'),
    ("gitlab-token", "glpat-" + "x9-_" + ALNUM[:16]),
    ("gitlab-token", "glagent-" + ALNUM[:50]),
    ("slack-token", "xoxb-" + "123456789012-123456789012-" + ALNUM[:24]),
    ("slack-token", "xapp-1-A0123456789-1234567890-" + HEX[:64]),
    ("slack-webhook", "https://hooks.slack.com/services/T01234567/B01234567/" + ALNUM[:24]),
    ("discord-webhook", "https://discord.com/api/webhooks/987654321098765432/" + ALNUM[:68]),
    ("anthropic-key", "sk-ant-api03-" + ALNUM[:93] + "AA"),
    ("anthropic-key", "sk-ant-admin01-" + ALNUM[:93] + "AA"),
    ("openai-key", "sk-" + ALNUM[:20] + "T3BlbkFJ" + ALNUM[:20]),
    ("openai-key", "sk-proj-" + ALNUM[:74] + "T3BlbkFJ" + ALNUM[:74]),
    ("pypi-token", "pypi-AgEIcHlwaS5vcmc" + ALNUM[:100]),
    ("tailscale-key", "tskey-auth-k" + ALNUM[:11] + "CNTRL-" + ALNUM[:32]),
    ("google-client-secret", "GOCSPX-" + ALNUM[:28]),
    ("google-api-key", "AIza" + ALNUM[:35]),
    ("google-access-token", "ya29." + ALNUM[:60]),
    ("brevo-key", "xkeysib-" + HEX[:64] + "-" + ALNUM[:16]),
    ("mailgun-key", "key-" + HEX[:32]),
    ("mailchimp-key", HEX[:32] + "-us12"),
    ("newrelic-key", "NRAK-" + UPPER[:27]),
    ("postman-key", "PMAK-" + HEX[:24] + "-" + HEX[:34]),
    ("xai-key", "xai-" + ALNUM[:80]),
    ("pulumi-token", "pul-" + HEX[:40]),
    ("heroku-token", "HRKU-" + ALNUM[:60]),
    ("aws-access-key", "AKIA" + UPPER[:16]),
    ("aws-access-key", "ASIA" + UPPER[:16]),
    ("azure-storage-key", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey="
     + B64[-86:] + "=="),
    ("azure-access-key", "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=root;"
     "SharedAccessKey=" + ALNUM[:43] + "="),
    ("azure-signature", "https://acme.blob.core.windows.net/c/b?sv=2022-11-02&sig=" + ALNUM[:43]),
    ("telegram-token", "123456789:AA" + ALNUM[:33]),
    ("sendgrid-key", "SG." + ALNUM[:22] + "." + ALNUM[:43]),
    ("vault-token", "hvs." + ALNUM[:90]),
    ("vault-token", "hvb." + ALNUM[:24]),
    ("terraform-token", ALNUM[:14] + ".atlasv1." + ALNUM[:67]),
    ("doppler-token", "dp.st." + ALNUM[:43]),
    ("password-in-url", "postgres://app:Tr0ub4dor@db/x"),
]
WARNS = {"stripe-test-key", "google-api-key", "google-access-token", "mailgun-key",
         "mailchimp-key", "password-in-url"}
GITHUB = "ghp_" + ALNUM[:36]


def found(image, files):
    return [one for one in check("tokens", image(files)) if not isinstance(one, Note)]


@pytest.mark.parametrize(("code", "token"), SAMPLES, ids=lambda text: text[:24])
@pytest.mark.parametrize("line", ["{}", "TOKEN={}", "  key: '{}'", 'x = "{}",', "a=({})\r"])
def test_a_token_is_found_and_not_shown(image, code, token, line):
    text = "# settings\n\n" + line.format(token) + "\n"
    (finding,) = found(image, {"/opt/acme/app.conf": text})
    assert finding.code == code
    assert finding.status == ("warn" if code in WARNS else "fail")
    assert (finding.path, finding.line) == ("/opt/acme/app.conf", 3)
    assert not any(token[at:at + 12] in repr(finding) for at in range(8, len(token) - 12))


def test_every_rule_has_a_sample():
    from img_tools.secrets.rules import _GROUPS, PRIVATE_KEY
    codes = {rule.code for _, rules in _GROUPS for rule in rules}
    assert codes - {PRIVATE_KEY} == {code for code, _ in SAMPLES}


@pytest.mark.parametrize("path", [
    "/root/.bashrc", "/root/deep/down/x", "/home/ann/.profile", "/etc/environment",
    "/etc/default/acme", "/etc/systemd/system/acme.service", "/etc/cron.d/acme", "/opt/acme/.env",
    "/srv/app/config.yml", "/var/www/html/config.php", "/var/spool/cron/crontabs/root",
    "/var/lib/cloud/scripts/per-instance/001", "/usr/local/bin/deploy", "/app/settings.py",
    "/docker-compose.yml", "/usr/share/nginx/html/app.js", "/lib/systemd/system/x.service",
    "/var/lib/jenkins/config.xml", "/var/local/x", "/root/.bash_history", "/etc/profile.d/x.sh"])
def test_wherever_a_build_leaves_it(image, path):
    files = {"/etc/passwd": "jenkins:x:9:9::/var/lib/jenkins:/bin/sh\n", path: f"x {GITHUB}\n"}
    assert [(one.path, one.code) for one in found(image, files)] == [(path, "github-token")]


@pytest.mark.parametrize("path", [
    "/usr/share/doc/x/README", "/var/log/x.log", "/tmp/x", "/var/cache/x/y", "/usr/bin/x",
    "/var/lib/docker/overlay2/1/diff/x", "/opt/x/.git/objects/ab/cd"])
def test_other_places_are_not_its_own(image, path):
    assert found(image, {path: GITHUB}) == []


@pytest.mark.parametrize("path", [
    "/srv/app/.git/config", "/srv/git/bare.git/config", "/srv/app/.gitmodules",
    "/srv/app/.git/modules/lib/config"])
def test_a_remote_with_a_password(image, path):
    config = '[remote "origin"]\n\turl = https://build:s3cr3tw0rd@git.example.net/x.git\n'
    (finding,) = found(image, {path: config})
    assert (finding.status, finding.code, finding.line) == ("fail", "git-remote-password", 2)
    assert "s3cr3tw0rd" not in repr(finding)


@pytest.mark.parametrize("user", ["example_app", "yourcompany", "u"])
def test_a_password_of_any_user(image, user):
    assert len(found(image, {"/etc/x.conf": f"a=postgres://{user}:Tr0ub4dor@db/x\n"})) == 1


@pytest.mark.parametrize("text", [
    "https://you:yourpassword@db/",
    "AKIAIOSFODNN7EXAMPLE", "ghp_" + "x" * 36, "ghp_short", "x" + GITHUB, "ghp_" + ALNUM[:30],
    "dop_v1_" + "G" * 64, "sk_live_your" + ALNUM[:24], "https://user:password@host/",
    "https://user:$PASSWORD@db/", "https://${USER}:${PASSWORD}@db/", "https://u:{{ x }}@db/",
    "https://name:secret@example.com/", "http://[::1]:8080/@x", "https://host:8080/a@b",
    "mailto:a@b", "A" * 5000, "-" * 5000, "_" * 5000, "://" * 3000, "a.b.c" * 2000,
    "AKIA" + "a" * 16, "SG.x.y", "hvs.x", "key-" + "z" * 32])
def test_what_only_looks_like_one(image, text):
    assert found(image, {"/etc/x.conf": f"a {text}\n"}) == []


@pytest.mark.parametrize(("path", "public"), [
    ("/opt/app/node_modules/lib/test/fixture.json", True),
    ("/usr/local/lib/python3.11/dist-packages/lib/tests/data.py", True),
    ("/srv/venv/lib/python3.11/site-packages/cryptography_vectors/asymmetric/x.pem", True),
    ("/usr/local/go/src/net/http/internal/testcert/testcert.go", True),
    ("/opt/app/node_modules/lib/README.md", True), ("/root/test/fixture.json", False),
    ("/opt/app/node_modules/lib/index.js", False), ("/srv/docs/x.md", False)])
def test_examples_of_installed_libraries_are_public(image, path, public):
    assert (found(image, {path: GITHUB}) == []) is public


@pytest.mark.parametrize(("path", "counts"), [
    ("/opt/app/.env", True), ("/opt/app/deploy.sh", True), ("/etc/x/app.yaml", True),
    ("/opt/app/requirements.txt", True), ("/opt/app/client.py", False),
    ("/opt/app/app/settings.py", True), ("/opt/app/settings/prod.py", True),
    ("/opt/app/config.js", True), ("/opt/app/webpack.config.js", True),
    ("/opt/app/config/database.rb", True), ("/opt/app/config_test.go", False),
    ("/opt/app/reconfigure.py", False), ("/opt/app/.env.example", False),
    ("/opt/app/README", False), ("/opt/app/index.html", False),
    ("/opt/app/node_modules/x/y.json", False)])
def test_addresses_count_in_settings_alone(image, path, counts):
    assert bool(found(image, {path: "redis://u:Tr0ub4dor@cache/0\n"})) is counts


@pytest.mark.parametrize("form", ["md5sums", "usr-merged", "conffile"])
@pytest.mark.parametrize("changed", [False, True])
def test_what_a_package_brought_unchanged_is_public(image, form, changed):
    path = {"md5sums": "/usr/local/share/x", "usr-merged": "/usr/lib/systemd/system/x",
            "conffile": "/etc/x.conf"}[form]
    digest = hashlib.md5(GITHUB.encode()).hexdigest()
    name = path.removeprefix("/usr") if form == "usr-merged" else path
    status = dpkg(x="1").rstrip("\n")
    files = {path: GITHUB + "\n" * changed, "/var/lib/dpkg/status": status + "\n"}
    if form == "conffile":
        files["/var/lib/dpkg/status"] = f"{status}\nConffiles:\n {path} {digest}\n"
    else:
        files["/var/lib/dpkg/info/x.md5sums"] = f"{digest}  {name[1:]}\n"
    assert bool(found(image, files)) is changed


def test_a_kind_is_told_once_a_file(image):
    text = "\n".join("ghp_" + ALNUM[n:n + 36] for n in range(30))
    (finding,) = found(image, {"/etc/x": text})
    assert finding.message.endswith("and 29 more in this file")
    assert finding.evidence["count"] == 30


def test_a_thousand_files_are_counted(image):
    findings = found(image, {f"/srv/{n}": GITHUB for n in range(1200)})
    assert len(findings) == 51
    assert findings[-1].message.startswith("950 more")


@pytest.mark.parametrize("at", [(1 << 20) - 30, (1 << 20) - 2100, (1 << 20) - 2048, 1 << 20,
                                (3 << 20) - 4])
def test_across_the_pieces_of_a_large_file(image, at):
    text = b"\n" * at + GITHUB.encode() + b"\n" * 70_000
    (finding,) = found(image, {"/srv/dump.sql": text})
    assert (finding.line, finding.evidence["count"]) == (at + 1, 1)


def test_beyond_a_hole(image):
    host = image({"/srv/disk.img": ""})
    path = f"{host.root.top}/srv/disk.img"
    with open(path, "r+b") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(GITHUB.encode())
    (finding,) = [one for one in check("tokens", host) if not isinstance(one, Note)]
    assert finding.path == "/srv/disk.img"


def result(host):
    (plugin,) = (one for one in load("img_tools.checks", "check") if one.id == "tokens")
    return checking.evaluate(host, plugin)


def test_what_is_not_searched_is_said(image):
    host = image({"/opt/prog": b"\x7fELF" + GITHUB.encode(), "/srv/a.gz": b"\x1f\x8b\x08x",
                  "/srv/utf16.env": f"A={GITHUB}".encode("utf-16"),
                  "/opt/big": b"x\n" * (33 << 20)})
    said = result(host)
    assert said.status is Status.PASS
    assert "not searched: 3 programs, archives" in said.message
    assert "first 64 MB alone: 1 files (/opt/big)" in said.message


def test_what_cannot_be_read_is_no_pass(image, monkeypatch):
    host = image({"/opt/x": "x"})
    real = os.preadv

    def broken(fd, buffers, offset):
        if os.readlink(f"/proc/self/fd/{fd}").endswith("/opt/x"):
            raise OSError(5, "Input/output error")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", broken)
    said = result(host)
    assert said.status is Status.ERROR
    assert "/opt/x: Input/output error" in said.message


@pytest.mark.parametrize("what", [Fifo(), {}, Link("/nowhere"), Link("x"), File(size=1 << 40)])
def test_pipes_directories_links_and_holes_hold_nothing(image, what):
    assert found(image, {"/opt/x": what}) == []


def test_a_link_is_not_followed(image, tmp_path):
    (tmp_path / "outside").write_text(GITHUB)
    assert found(image, {"/opt/x": Link(str(tmp_path / "outside")), "/srv/d": Link("/usr/share"),
                         "/usr/share/x": GITHUB, "/app": Link(str(tmp_path))}) == []


def test_a_strange_name_arrives_as_text(image):
    name = "/opt/\x1b]0;x\x07<b>|`\udcff\n"
    said = result(image({name: GITHUB}))
    assert said.status is Status.FAIL
    assert said.message.isprintable()
    (finding,) = said.findings
    assert all(text.isprintable() for text in (finding.message, finding.path, finding.remediation))
