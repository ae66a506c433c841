"""The template for QEMU: a cloud image boots, is built, cleaned, checked and becomes an image."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.container import server
from tests.integrations.conftest import Site, demand
from tests.integrations.test_packer import QEMU, copied, packer, sha256, variables
from tests.rootfs import trees
from tests.rootfs.clean import chroot
from tests.rootfs.debrepo import Key
from tests.rootfs.planting import Edit, plant
from tests.support import File
from tests.vm import disk

USER_DATA = """#cloud-config
disable_root: false
locale: false
ssh_authorized_keys: ["{key}"]
"""


@pytest.fixture
def base(key: Key, tmp_path: Path) -> Path:
    """A cloud image as Debian makes them, with a firewall and archives that need no network."""
    demand("packer", "qemu-system-x86_64", "qemu-img", "mke2fs", "debugfs", "sfdisk")
    image = tmp_path / "cloud.raw"
    with trees.copy(trees.pristine("bookworm", "droplet"), tmp_path) as tree:
        disk.system(tree)
        server.archives(tree, "bookworm", key)
        chroot(tree, "ufw", "allow", "OpenSSH")
        plant(tree, {
            "/etc/ufw/ufw.conf": Edit("^ENABLED=no", "ENABLED=yes"),
            "/etc/update-motd.d/99-image-readme": File("#!/bin/sh\necho welcome\n", mode=0o755),
        })
        disk.assemble(tree, image)
    return image


def test_an_image_is_made_offline(site: Site, base: Path, single: Path) -> None:
    shutil.copy(site.key, site.home / "key")
    seed = site.home / "seed"
    seed.mkdir()
    (seed / "meta-data").touch()
    (seed / "vendor-data").touch()
    public = site.key.with_suffix(".pub").read_text().strip()
    (seed / "user-data").write_text(USER_DATA.format(key=public))
    (site.home / "build.sh").write_text("#!/bin/sh\necho secret >/root/.bash_history\n")

    done = packer(site, "build", "-color=false", *variables(
        base=base, base_sha256=sha256(base), accelerator="tcg", img_tools=single),
        copied(site, QEMU))
    assert done.returncode == 0, done.stdout
    report = json.loads((site.home / "report-image.json").read_text())
    assert (report["verdict"], report["check"]["exit_code"]) == ("pass", 0)

    made = tmp_raw(site.home)
    assert listed(made, "/root") == {".bashrc", ".profile", ".ssh"}
    assert listed(made, "/root/.ssh") == set()
    assert not {name for name in listed(made, "/etc/ssh") if name.startswith("ssh_host_")}
    assert not {name for name in listed(made, "/usr/local/bin") if "img" in name}
    assert listed(made, "/var/lib/cloud/instances") == set()


def tmp_raw(home: Path) -> Path:
    """The image that was made, as a raw disk."""
    raw = home / "made.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", home / "output/image.qcow2", raw],
                   check=True)
    return raw


def listed(raw: Path, directory: str) -> set[str]:
    """The names in DIRECTORY on the disk RAW."""
    done = subprocess.run(["debugfs", "-R", f"ls -p {directory}", f"{raw}?offset={disk.START}"],
                          capture_output=True, text=True, check=True)
    assert "not found" not in done.stderr, done.stderr
    return {line.split("/")[5] for line in done.stdout.splitlines() if "/" in line} - {".", ".."}
