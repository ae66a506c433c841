"""A tree full of secrets: found, and none of them in any output (row B3)."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.rootfs import running
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import Add, plant
from tests.support import File

CONTENT = "marker-of-content-41d9"  # in every file that is planted
PASSWORD = "Tr0ub4dor-and-three-e71c"
ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m"
HASHES = ("$6$saltsaltsalt$" + "hH4sH" * 17 + "x", "$y$j9T$saltsaltsalt$" + "hY3sC" * 8 + "abc",
          "$1$saltsalt$" + "hM5dS" * 4 + "xx")
TOKENS = {
    "do": "dop_v1_" + "0123456789abcdef" * 4,
    "aws-id": "AKIA" + "Q7XWMZ2DKP4RTS6N",
    "aws": "wJalrXUtnFEMIK7MDENGbPxRfiCYzQ9vT3hLmN5",
    "github": "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5",
    "npm": "npm_" + "zY8xW6vU4tS2rQ0pO8nM6lK4jI2hG0fE8dC6",
    "slack": "xoxb-" + "1234567890-0987654321-AbCdEfGhIjKlMnOpQrStUvWx",
    "basic": "YnVpbGQ6czNjcmV0LWluLWJhc2U2NA==",
}


def key(directory: Path, kind: str, comment: str) -> tuple[str, str]:
    """A private key as OpenSSH writes it, and its public half."""
    path = directory / f"{kind}-{comment}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", comment, "-f", str(path)],
                   check=True, stdin=subprocess.DEVNULL)
    return path.read_text(), path.with_name(f"{path.name}.pub").read_text()


def fill(tree: Path, directory: Path) -> list[str]:
    """Plant secrets of every kind in TREE; returns what must not come out."""
    private, public = key(directory, "ed25519", "vendor@build")
    rsa, rsa_public = key(directory, "rsa", "vendor@laptop")
    note = f"# {CONTENT} {ESCAPE}\n"
    plant(tree, {
        "/etc/passwd": Add(
            f"hashed:{HASHES[2]}:1500:1500:{CONTENT},{ESCAPE}:/home/hashed:/bin/bash\n"
            f"locked:x:1501:1501::/home/locked:/bin/bash\n"
            f"strange{ESCAPE}:x:0:0:{CONTENT}:/home/strange:/bin/bash\n"
            f"not a line of passwd {CONTENT} {PASSWORD}\n"),
        "/etc/shadow": Add(f"hashed:{HASHES[0]}:20000:0:99999:7:::\n"
                           f"locked:!{HASHES[1]}:20000:0:99999:7:::\n{PASSWORD}\n"),
        "/etc/shadow-": f"root:{HASHES[0]}:20000:0:99999:7:::\n",
        "/etc/gshadow": Add(f"wheel:{HASHES[1]}::\n"),
        "/root/.ssh/authorized_keys": f"{note}command=\"echo {PASSWORD}\" {public}{rsa_public}",
        "/root/.ssh/id_ed25519": private,
        "/root/.ssh/deploy": f"{rsa}{note}",
        "/root/.ssh/config": f"{note}Host *\n  User {CONTENT}\n",
        "/root/.ssh/known_hosts": f"{CONTENT}.example {public}",
        "/home/hashed/.ssh/authorized_keys2": rsa_public,
        "/home/hashed/keys/server.pem": rsa,
        "/etc/ssh/ssh_host_ed25519_key": private,
        "/etc/ssl/private/site.key": rsa,
        "/root/.bash_history": f"mysql -p{PASSWORD}\nexport DO={TOKENS['do']}\n{note}",
        "/home/locked/.mysql_history": f"SET PASSWORD = '{PASSWORD}'; {note}",
        "/root/.netrc": f"machine x login y password {PASSWORD}\n{note}",
        "/root/.aws/credentials": f"[default]\naws_access_key_id = {TOKENS['aws-id']}\n"
                                  f"aws_secret_access_key = {TOKENS['aws']}\n{note}",
        "/root/.docker/config.json": json.dumps(
            {"auths": {CONTENT: {"auth": TOKENS["basic"]}}}),
        "/root/.config/doctl/config.yaml": f"access-token: {TOKENS['do']}\n{note}",
        "/root/.npmrc": f"//registry/:_authToken={TOKENS['npm']}\n{note}",
        "/root/.git-credentials": f"https://build:{TOKENS['github']}@git.example\n{note}",
        "/root/.gitconfig": f'[url "https://build:{TOKENS["github"]}@git.example"]\n{note}',
        "/root/.pgpass": f"*:*:*:*:{PASSWORD}\n{note}",
        "/root/.my.cnf": f"[client]\npassword={PASSWORD}\n{note}",
        "/root/.digitalocean_passwords": f"root={PASSWORD}\n{note}",
        "/srv/app/.env": f"SLACK={TOKENS['slack']}\nDB=postgres://u:{PASSWORD}@db/x\n{note}",
        "/srv/app/.git/config": f"[remote \"origin\"]\n\turl = https://u:{PASSWORD}@git.example/x\n",
        "/var/www/html/wp-config.php": f"<?php define('DB_PASSWORD', '{PASSWORD}'); {note}",
        "/etc/apt/sources.list.d/private.list":
            f"deb [trusted=yes] https://build:{PASSWORD}@apt.example/{ESCAPE} stable main\n"
            f"deb http://build:{PASSWORD}@127.0.0.1:9/x stable main\n"
            f"deb {ESCAPE} {ESCAPE} # {CONTENT} {PASSWORD}\n",
        "/etc/apt/auth.conf.d/x.conf": f"machine apt.example login u password {PASSWORD}\n",
        "/etc/apt/apt.conf.d/99proxy": f'Acquire::http::Proxy "http://u:{PASSWORD}@proxy:3128";\n',
        "/etc/cloud/cloud.cfg.d/99-user.cfg":
            f"password: {PASSWORD}\nssh_authorized_keys: ['{public.strip()}']\n"
            f"chpasswd: {{list: ['root:{PASSWORD}']}}\n",
        "/var/lib/cloud/instance/user-data.txt": f"#cloud-config\npassword: {PASSWORD}\n{note}",
        "/etc/sudoers.d/90-x": f"hashed ALL=(ALL) NOPASSWD: /bin/x {PASSWORD} {CONTENT}\n",
        "/etc/fstab": Add(f"//nas/x /mnt cifs username=u,password={PASSWORD} 0 0\n"
                          f"UUID={CONTENT} /data{ESCAPE} ext4 defaults 0 2\n"),
        "/etc/netplan/50-x.yaml": "network: {version: 2, wifis: {w0: {access-points: "
                                  f"{{{CONTENT}: {{password: {PASSWORD}}}}}}}}}\n",
        "/etc/wireguard/wg0.conf": f"[Interface]\nPrivateKey = {TOKENS['basic']}\n{note}",
        "/etc/cron.d/x": f"* * * * * root curl -u u:{PASSWORD} x # {CONTENT}\n",
        "/var/spool/cron/crontabs/root": f"@daily x --password={PASSWORD} # {CONTENT}\n",
        "/var/mail/root": f"From {CONTENT}\n\n{PASSWORD}\n",
        "/var/log/auth.log": f"sshd: Failed password {PASSWORD} {note}",
        "/tmp/dump.sql": f"INSERT '{PASSWORD}'; {note}",
        "/etc/update-motd.d/99-x": File(f"#!/bin/sh\necho {PASSWORD}\n{note}", mode=0o755),
        "/var/lib/cloud/scripts/per-instance/x": f"#!/no/such {PASSWORD}\n{note}",
        "/etc/rsyslog.d/x.conf": f"*.* @@(o){CONTENT}.example:514 # {PASSWORD}\n",
        "/etc/ssh/sshd_config.d/x.conf": f"{note}PasswordAuthentication yes\n"
                                         f"Match User {CONTENT}\nForceCommand echo {PASSWORD}\n"
                                         f"NoSuchKeyword {PASSWORD}\n",
        "/etc/ufw/user.rules": Add(f"### {CONTENT} {PASSWORD}\n-A nonsense {PASSWORD}\n"),
        f"/root/.ssh/id_{ESCAPE}\udcff\udcfe\n": private,
        f"/tmp/name{ESCAPE}\udcff\n[PASS] all is well": "x\n",
        f"/home/hashed/{ESCAPE}.pem": rsa,
    })
    bodies = [line for text in (private, public, rsa, rsa_public)
              for line in re.findall(r"[A-Za-z0-9+/=]{40,}", text)]
    return [CONTENT, PASSWORD, *HASHES, *TOKENS.values(), *bodies]


@pytest.fixture
def secretive(tree: Tree, tmp_path: Path) -> tuple[Path, list[str]]:
    top = tree("bookworm")
    return top, fill(top, tmp_path)


@pytest.mark.parametrize("args", [
    ("--no-refresh",), ("--no-refresh", "-v"), ("--no-refresh", "-q"),
    ("--no-refresh", "--format", "json"), ("-v",), ("--format", "json"),
], ids=" ".join)
def test_no_secret_on_the_way_out(
    secretive: tuple[Path, list[str]], tmp_path: Path, args: tuple[str, ...]
) -> None:
    """Defect 33: upstream prints authorized_keys, private keys and whole logs."""
    top, secrets = secretive
    files = [tmp_path / "report.txt", tmp_path / "report.json"]
    said = running.output(running.outside(
        top, *args, *(part for file in files for part in ("-o", str(file)))))
    for text in (said, *(file.read_text() for file in files)):
        assert [secret for secret in secrets if secret in text] == []
        assert all(char == "\n" or char.isprintable() for char in text)


def test_colour_is_the_only_escape(secretive: tuple[Path, list[str]]) -> None:
    top, _ = secretive
    said = running.output(running.outside(top, "--no-refresh", "-v", "--color", "always"))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    assert plain != said
    assert all(char == "\n" or char.isprintable() for char in plain)


def test_every_secret_is_found(secretive: tuple[Path, list[str]]) -> None:
    """Silence is no protection: the same tree must fail for what is in it."""
    top, _ = secretive
    outcome = running.check(top, "--no-refresh")
    failed = {result["id"] for result in outcome.report["checks"] if result["status"] == "fail"}
    assert outcome.code == 1
    assert {"passwords", "ssh-keys", "shell-history", "credentials", "tokens", "private-keys",
            "first-boot-secrets"} <= failed


def test_an_archive_that_cannot_be_reached_keeps_its_password(tree: Tree) -> None:
    top = tree("bookworm")
    plant(top, {"/etc/apt/sources.list":
                f"deb [trusted=yes] http://build:{PASSWORD}@127.0.0.1:9/x stable main\n"})
    said = running.output(running.outside(top, "-v", "--only", "security-updates,repositories"))
    assert PASSWORD not in said
    assert "127.0.0.1:9" in said
    assert "UNDECIDED" in said or "FAIL" in said
