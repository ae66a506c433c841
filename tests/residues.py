# ruff: noqa: E501  (lines of a document)
"""What the catalogue says, as docs/residues.md and as files to plant; `python -m tests.residues`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from img_tools.catalogue import CATALOGUE, Residue, Treat
from img_tools.catalogue.left_out import LEFT_OUT

DOCUMENT = Path(__file__).parents[1] / "docs" / "residues.md"
HEAD = """# What `img-check` looks for and `img-clean` cleans up

The catalogue of leftovers, made from `img_tools/catalogue` by `python -m tests.residues`. Each topic is
a check and, but for rows that are only reported, the cleaner of the same name. `~` is the home of every
account, /root and /etc/skel with them; `**` is any number of directories.

Keys and settings in `~/.ssh`, copies of password files, packages and the account of the agent are no rows:
see `img-check --explain` and `img-clean --explain` of ssh-keys, accounts and do-agent.
"""
LEFT = """
## What is left out, and why

Other tools that make images general remove these too, or some do (virt-sysprep, `cloud-init clean`,
waagent, the scripts of other marketplaces). A file that HISTFILE names in a startup file, and a private
key in a home but outside of `~/.ssh`, are found by `img-check` and left to you.

| what | where | why it stays |
|---|---|---|
"""
DONE = {
    Treat.REMOVE: "removed", Treat.TRUNCATE: "emptied in place", Treat.EMPTY: "its contents removed",
    Treat.REPORT: "reported",
}
HELD = {  # content in which `holds` is found, by the beginning of the pattern
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/etc/iscsi": "InitiatorName=iqn.1993-08.org.debian:01:ab\n",
    "/var/spool/cron": "0 * * * * /opt/acme/job\n",
    "/var/log": "\0\0x",
    "/etc/sysconfig/network-scripts/ifcfg-e": "DEVICE=eth0\nHWADDR=52:54:00:12:34:56\n",
    "/etc/sysconfig/network-scripts/ifcfg-x": "# Created by cloud-init on instance boot\nA=b\n",
    "/etc/NetworkManager": "[ethernet]\nmac-address=52:54:00:12:34:56\npsk=x\n",
    "/etc/dnf": "[main]\nproxy=http://10.0.0.2:3142\n",
    "/etc/yum": "[main]\nproxy=http://10.0.0.2:3142\n",
    "/root/.config/rclone": "token = x\n", "/root/.docker": '{"auth": "x"}',
    "/root/.config/containers": '{"auth": "x"}', "/root/.npmrc": "_authToken=x\n",
    "/root/.yarnrc": "npmAuthToken: x\n", "/root/.pypirc": "password=x\n",
    "/root/.git-credentials": "https://u:x@git.example\n",
    "/root/.config/git": "https://u:x@git.example\n", "/root/.config/gh": "oauth_token: x\n",
    "/root/.netrc": "password x\n", "/root/.authinfo": "password x\n",
    "/root/.kube": "token: x\n", "/root/.my.cnf": "password=x\n", "/root/.pgpass": "*:*:*:*:x\n",
    "/root/.pip": "https://u:x@pypi.example\n", "/root/.config/pip": "https://u:x@pypi.example\n",
    "/root/.config/doctl": "access-token: x\n", "/root/snap": "access-token: x\n",
    "/root/.s3cfg": "secret_key = x\n", "/root/.aws": "aws_secret_access_key = x\n",
    "/root/.config/s3cmd": "secret_key = x\n", "/root/.mc": '"secretKey": "x"',
    "/etc/machine-info": "LOCATION=Rack 12\n", "/etc/chrony": "1 SHA256 HEX:0123456789\n",
    "/etc/apt/apt.conf": 'Acquire::http::Proxy "http://10.0.0.2:3142";\n',
    # -- by the end of the pattern
    ".config/git/credentials": "https://u:x@git.example\n", ".boto": "secret_key = x\n",
    "azureProfile.json": '{"subscriptions": [{"id": "x"}]}', ".oci/config": "user=ocid1\n",
    "x.pem": "-----BEGIN PRIVATE KEY-----\n", "cli.toml": 'token = "x"\n',
    "linode-cli": "token = x\n", "linode-cli.toml": "token = x\n", ".vultr-cli.yaml": "api-key: x\n",
    ".terraformrc": 'token = "x"\n', "galaxy_token": "token: x\n", ".rclone.conf": "pass = x\n",
    ".credentials.json": '{"accessToken": "x"}', "auth.json": '{"token": "x", "auth": "x"}',
    "oauth_creds.json": '{"access_token": "x"}', ".config/op/config": '{"deviceUuid": "x"}',
    "kubelet/config.json": '{"auth": "x"}', "npmrc": "_authToken=x\n",
    "pip.conf": "index-url = https://u:x@pypi.example\n", ".cargo/credentials": 'token = "x"\n',
    "credentials.toml": 'token = "x"\n', "gem/credentials": ":rubygems_api_key: x\n",
    "settings.xml": "<password>x</password>", "settings-security.xml": "<master>x</master>",
    "gradle.properties": "nexusPassword=x\n",
    "composer/auth.json": '{"http-basic": {"x": {}}}',
    "NuGet.Config": '<add key="ClearTextPassword" value="x" />',
    ".gitconfig": '[url "https://u:x@git.example"]\n', "/etc/gitconfig": "https://u:x@git.example\n",
    ".config/git/config": "https://u:x@git.example\n", "glab-cli/config.yml": "token: x\n",
    "/etc/kubernetes/x.conf": "client-key-data: x\n", "k3s.yaml": "client-key-data: x\n",
    "rke2.yaml": "client-key-data: x\n", "/etc/wireguard/x.conf": "PrivateKey = x\n",
    "/etc/openvpn/x/y": "-----BEGIN PRIVATE KEY-----\n", "/etc/letsencrypt/accounts/x/y": '{"d": "x"}',
    "/etc/netplan/x.yaml": "password: x\n",
    ".mongorc.js": 'db.auth("x", "x")\n', ".mongoshrc.js": 'db.auth("x", "x")\n',
    "wp-config.php": "define('DB_PASSWORD', 'x');\n", ".env": "APP_KEY=s3cr3ts3cr3t\n",
    ".env.x": "APP_KEY=s3cr3ts3cr3t\n", "/y/master.key": "0123456789abcdef0123456789abcdef\n",
    "htpasswd": "ann:$apr1$x\n", ".tfstate": '{"password": "x"}',
    ".tfstate.backup": '{"password": "x"}', "debian.cnf": "password = x\n",
    "dbconfig-common/x.conf": "dbc_dbpass='x'\n", "config-db.php": "$dbpass='x';\n",
    "debian-db.php": "$dbpass='x';\n", "redis.conf": "requirepass x\n",
    "valkey.conf": "requirepass x\n", "datadog.yaml": "api_key: " + "0f" * 16 + "\n",
    "newrelic-infra.yml": "license_key: " + "0f" * 20 + "\n", "/swarm/state.json": '{"x": 1}',
    "docker-state.json": '{"x": 1}', "/swarm/certificates/x.key": "x",
    "compose.yml": "DB_PASSWORD: s3cr3ts3cr3t\n", "docker-composex.yml": "DB_PASSWORD: s3cr3ts3cr3t\n", "compose.yaml": "DB_PASSWORD: s3cr3ts3cr3t\n",
    "docker-composex.yaml": "DB_PASSWORD: s3cr3ts3cr3t\n",
    **dict.fromkeys(("/etc/environment", "/etc/environment.d/x", "/etc/profile.d/x", "/etc/default/x",
                     "/etc/sysconfig/x", ".bashrc", ".bash_profile", ".bash_login", ".bash_aliases",
                     ".profile", ".zshrc", ".zshenv", ".zprofile"), "export A_TOKEN=s3cr3ts3cr3t\n"),
    **dict.fromkeys(("/etc/systemd/system/x.service", "/etc/systemd/system/x.d/x.conf"),
                    "[Service]\nEnvironment=A=b A_TOKEN=s3cr3ts3cr3t\n"),
    "core": b"\x7fELF\2\1\1" + bytes(9) + b"\4\0" + bytes(40),
}


def example(row: Residue, home: str = "/root") -> dict[str, object]:
    """Files, as tests.support.build takes them, that ROW describes."""
    path = row.pattern.replace("~", home, 1) if row.pattern.startswith("~") else row.pattern
    path = path.replace("/**/", "/x/y/").replace("**", "x/y")
    path = re.sub(r"\[(.)[^]]*\]", r"\1", path.replace("/*/", "/d/")).replace("*", "x")
    if row.kind == "tree":
        return {f"{path}/x": "x"}
    if row.kind == "empty":
        return {path: {}}
    if not row.holds:
        return {path: "x"}
    name = "core" if "/core" in path else path
    held = next((text for end, text in reversed(HELD.items()) if name.endswith(end)), None)
    return {path: held or next(text for begin, text in HELD.items() if name.startswith(begin))}


def document() -> str:
    """docs/residues.md as it has to be."""
    return HEAD + "".join(_topics()) + LEFT + "".join(
        f"| {what} | {'<br>'.join(f'`{path}`' for path in paths)} | {why} |\n"
        for what, paths, why in LEFT_OUT)


def _topics() -> Iterator[str]:
    rows = sorted(CATALOGUE, key=lambda row: row.topic)
    for topic, group in groupby(rows, key=lambda row: row.topic):
        yield f"\n## {topic}\n\n| code | severity | what becomes of it | where | why |\n|{'---|' * 5}\n"
        for (code, severity, treat, why), alike in groupby(group, key=lambda row: (
                row.code, row.severity.value, DONE[row.treat], row.advice or row.why)):
            members = list(alike)
            where = "<br>".join(f"`{row.pattern}`" for row in members)
            advice = f": {why}" if members[0].advice else ""
            yield f"| {code} | {severity} | {treat}{advice} | {where} | {members[0].why} |\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
