"""What a build leaves on its disk: a canary at every place, most of them put there by use."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests import ssh
from tests.rootfs.dirt import HASH
from tests.support import File
from tests.vm import disk
from tests.vm.droplet import Droplet
from tests.vm.vendor import upload

SEED = "/var/lib/systemd/random-seed"
CANARY = re.compile(rb"CANARY-([a-z-]+)-[0-9a-f]{16}")


class Canaries:
    """Makes canaries and keeps their PLACES."""

    def __init__(self) -> None:
        self.places: set[str] = set()

    def __call__(self, place: str) -> str:
        """A string that is nowhere but at PLACE."""
        self.places.add(place)
        return f"CANARY-{place}-{secrets.token_hex(8)}"


def _files(canary: Canaries) -> dict[str, object]:
    """Residues of the catalogue, one of most topics; /root/notes~ is reported and has to stay."""
    return {
        "/root/notes~": canary("reported"),
        "/tmp/.build/config": canary("tmp"), "/var/tmp/download": canary("var-tmp"),
        "/root/.mysql_history": canary("client-history"),
        "/home/anna/.zsh_history": canary("history-of-anna"),
        "/root/.ssh/known_hosts": canary("known-hosts"),
        "/root/.ssh/deploy": File(ssh.openssh() + canary("private-key"), mode=0o600),
        "/home/anna/.ssh/authorized_keys": f"{ssh.ED25519} {canary('key-of-anna')}\n",
        "/var/mail/root": f"From x\n\n{canary('mail')}\n",
        "/var/crash/app.crash": canary("crash"),
        "/var/backups/shadow.bak": f"{canary('kept-by-dpkg')}:{HASH}:1:0:9:7:::\n",
        "/var/cache/apt/archives/x_1_all.deb": canary("package"),
        "/var/log/acme.log.1": canary("rotated-log"), "/var/log/acme/app.log": canary("app-log"),
        "/var/log/acme/old.log": canary("old-log"),
        "/etc/.fstab.swp": canary("editor"), "/etc/acme.conf.dpkg-old": canary("dpkg-old"),
        "/var/lib/systemd/credential.secret": canary("credential-secret"),
    }


def user_data(canary: Canaries) -> str:
    """What the Droplet is given when it is made."""
    return f"manage_etc_hosts: true  # {canary('user-data')}\n"


# Deleted before the cleaning: a file with data, one whose name tells, a short and a long one.
_DELETED = """
import os
os.makedirs("/srv/old")
with open("/srv/old/data", "w") as file:
    file.write("{data} " * 20000)
with open("/srv/old/{name}", "w"):
    pass
os.symlink("{link}", "/srv/old/link")
os.sync()
for name in os.listdir("/srv/old"):
    os.unlink("/srv/old/" + name)
os.rmdir("/srv/old")
os.sync()
"""
# A build takes its time: a log and a journal that nothing was written to for some days.
_AGED = """
journalctl --rotate
touch --date '3 days ago' /var/log/acme/old.log /var/log/journal/*/system@*.journal
sync
"""
# As a page that the kernel has written there; swap is in use from the second page on.
_SWAPPED = """
import subprocess
subprocess.run(["swapoff", "/swapfile"], check=True)
with open("/swapfile", "r+b") as file:
    file.seek(4096 * 1000)
    file.write(b"{swap} " * 200)
subprocess.run(["swapon", "/swapfile"], check=True)
"""


def soil(box: Droplet, canary: Canaries) -> None:
    """Use BOX as builders do, and leave it as they do."""
    upload(box, _files(canary))
    box.run("logger", "--tag", "acme", canary("journal-and-syslog"))
    box.run("logger", "--journald", stdin=f"MESSAGE=up\nACME={canary('journal')}\n".encode())
    _visit(box, f"/{canary('access-log')}")
    box.attempt("true", user=canary("login-of-nobody"))
    box.session(f"export PASSWORD={canary('shell-history')}", "exit")
    box.run("python3", "-c", _DELETED.format(
        data=canary("deleted-data"), name=canary("deleted-name"), link=canary("deleted-link")))
    box.run("python3", "-c", _SWAPPED.format(swap=canary("swap")))
    box.run("sh", "-euc", _AGED)


def _visit(box: Droplet, path: str) -> None:
    """Ask the web server for what it has not."""
    with contextlib.suppress(HTTPError):
        urlopen(box.url(path), timeout=60).close()


def left(image: Path, identities: Mapping[str, bytes]) -> dict[str, list[int]]:
    """As found(), on a snapshot, where a random seed counts whenever it was written.

    Systemd writes a new one over it at each power-off, which all clones would start from.
    """
    hits = found(image, identities)
    if disk.read(image, SEED):
        hits.setdefault("random-seed", [])
    return hits


def found(image: Path, identities: Mapping[str, bytes]) -> dict[str, list[int]]:
    """The places whose canary is anywhere on IMAGE, and the IDENTITIES that are, with offsets."""
    names = {text: name for name, text in identities.items()}
    hits: dict[str, list[int]] = {}
    for text, offsets in disk.found(image, CANARY, *(
            re.compile(re.escape(one)) for one in names)).items():
        known = CANARY.fullmatch(text)
        hits.setdefault(known[1].decode() if known else names[text], []).extend(offsets)
    return hits
