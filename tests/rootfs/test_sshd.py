"""What we read out of sshd_config is what the release's own sshd makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from img_tools import sshd
from img_tools.rootfs import RootFS
from tests.rootfs.conftest import Tree

KEYWORDS = {"permitrootlogin": "without-password", "passwordauthentication": "yes",
            "forcecommand": "none", "banner": "none", "x11forwarding": "no"}
GOOD = (
    "PermitRootLogin=no\nPermitRootLogin yes\n",
    '\tBANNER\t"/ab" # c\r\nX11Forwarding "yes"\n',
    "PermitRootLogin yes\nMatch User root\nPermitRootLogin no\nForceCommand none\n",
    "Match User *,!root\nPermitRootLogin no\nMatch all\nX11Forwarding yes\nPort 2222\n",
    "Match User=root Group root\nBanner /x\nMatch Group nosuch\nBanner /y\n",
    "Include d/*.conf\nPasswordAuthentication no\nX11Forwarding yes\n",
    "Match User root\nInclude d/*.conf\nMatch User bin\nX11Forwarding yes\n",
    "Match Address *\nPasswordAuthentication no\n",
)
BAD = (
    "Match User root\nPort 22\n", "PermitRootLogin maybe\n", "PermitRootLogin\n", "Port x\n",
    "Port 22 23\n", "Match User\n", "Match all User root\n", 'Banner "x\n',
    "Include sshd_config\n",
)
DROPINS = {"1.conf": "Match User bin\nPasswordAuthentication yes\n",
           "2.conf": "PermitRootLogin no\n", ".3.conf": "PermitRootLogin yes\n"}


def ask(top: Path, user: str) -> dict[str, str] | None:
    """What `sshd -T` says is in force for USER, None when it refuses the configuration."""
    spec = f"user={user},host=h,addr=192.0.2.9,laddr=192.0.2.1,lport=22"
    done = subprocess.run(["chroot", top, "/usr/sbin/sshd", "-T", "-C", spec], check=False,
                          capture_output=True, text=True)
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {key: value for key, _, value in pairs} if done.returncode == 0 else None


def lay(top: Path, text: str) -> sshd.SshdConfig:
    (top / "etc/ssh/d").mkdir(exist_ok=True)
    for name, content in DROPINS.items():
        (top / "etc/ssh/d" / name).write_text(content)
    (top / "etc/ssh/sshd_config").write_text(text)
    return sshd.read(RootFS(str(top)))


def read(config: sshd.SshdConfig, keyword: str, user: str) -> str:
    found = config.effective(keyword, user, [user])
    value = found[0].directive.args[0] if found else KEYWORDS[keyword]
    return value.replace("prohibit-password", "without-password")


def test_the_same_values_are_in_force(tree: Tree, suite: str) -> None:
    top = tree(suite)
    (top / "run/sshd").mkdir(exist_ok=True)
    subprocess.run(["chroot", top, "ssh-keygen", "-A"], check=True, capture_output=True)
    for text in GOOD:
        config = lay(top, text)
        assert config.problems == (), text
        for user in ("root", "bin"):
            said = ask(top, user)
            assert said is not None, text
            for keyword in KEYWORDS:
                assert read(config, keyword, user) == said[keyword], (text, user, keyword)


def test_the_same_lines_are_refused(tree: Tree, suite: str) -> None:
    top = tree(suite)
    (top / "run/sshd").mkdir(exist_ok=True)
    subprocess.run(["chroot", top, "ssh-keygen", "-A"], check=True, capture_output=True)
    for text in BAD:
        config = lay(top, text)
        assert [problem.certain for problem in config.problems] == [True], text
        assert ask(top, "root") is None, text
