"""A vendor builds an image: an application behind nginx, as DigitalOcean's document wants it.

A first-boot script makes a password and lets root in, who is locked out until then; a message of
the day; a script for the first login, which takes itself out again; a firewall.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.rootfs.planting import plant
from tests.support import File
from tests.vm.droplet import Droplet

WELCOME = "Welcome to Acme on"
FIRST_LOGIN = "Acme asks you this once"
PASSWORD = "/root/.acme_password"
PAGE = "Acme is served here"
_ONBOOT = f"""#!/bin/sh
# A password of this Droplet's own; then root may log in.
set -eu
umask 077
password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \\n')
echo "$password" > {PASSWORD}
echo "admin:{{PLAIN}}$password" > /etc/nginx/acme.htpasswd
chgrp www-data /etc/nginx/acme.htpasswd
chmod 640 /etc/nginx/acme.htpasswd
sed -i '/^Match User root$/,/ForceCommand/d' /etc/ssh/sshd_config
systemctl restart ssh
"""
_SITE = """server {
    listen 80 default_server;
    root /srv/acme;
    location /admin/ {
        auth_basic Acme;
        auth_basic_user_file /etc/nginx/acme.htpasswd;
    }
}
"""
PRODUCT: Mapping[str, object] = {
    "/var/lib/cloud/scripts/per-instance/001_onboot": File(_ONBOOT, mode=0o755),
    "/etc/update-motd.d/99-acme": File(
        f"#!/bin/sh\necho '{WELCOME}' \"$(uname -n)\"\n", mode=0o755),
    "/opt/acme/first-login": File(
        f"#!/bin/sh\necho '{FIRST_LOGIN}'\ncp -f /etc/skel/.bashrc /root/.bashrc\n", mode=0o755),
    "/etc/nginx/sites-available/default": _SITE,
    "/srv/acme/index.html": f"{PAGE}\n", "/srv/acme/admin/index.html": f"{PAGE} for admins\n",
}
_STEPS = (
    "systemctl restart nginx",
    "ufw allow OpenSSH", "ufw allow 'Nginx HTTP'", "ufw --force enable",
    "useradd --create-home --shell /bin/bash anna",
    "fallocate --length 64MiB /swapfile", "chmod 600 /swapfile", "mkswap /swapfile",
    "swapon /swapfile", "echo '/swapfile none swap sw 0 0' >> /etc/fstab",
)
# The last of all, as whoever builds would be the first to log in. sshd is not restarted: they have
# to be let in once more.
_LAST = (
    "cp /etc/skel/.bashrc /root/.bashrc", "echo /opt/acme/first-login >> /root/.bashrc",
    "printf '%s\\n' 'Match User root' '    ForceCommand echo Acme is being set up, please wait.'"
    " >> /etc/ssh/sshd_config",
)


def build(box: Droplet, package: Path) -> None:
    """Make BOX what its vendor wants to sell, and install PACKAGE (of img-tools) on it."""
    upload(box, PRODUCT)
    box.run("sh", "-euc", "\n".join(_STEPS))
    box.run("sh", "-euc", "cat > /tmp/img-tools.deb && dpkg -i /tmp/img-tools.deb",
            stdin=package.read_bytes())


def finish(box: Droplet) -> None:
    """Have BOX greet its owner at the first login, and let nobody in until 001_onboot has run."""
    box.run("sh", "-euc", "\n".join(_LAST))


def upload(box: Droplet, files: Mapping[str, object]) -> None:
    """Make FILES (see planting.plant) on BOX, owned by root."""
    tree = box.place / "upload"
    tree.mkdir()
    plant(tree, files)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in tree.rglob("*"):
            if not path.is_dir():  # those that are there keep their mode
                tar.add(path, path.relative_to(tree))
    shutil.rmtree(tree)
    box.run("tar", "-C", "/", "-xf", "-", stdin=archive.getvalue())
