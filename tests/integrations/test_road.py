"""docs/from-droplet-to-submission.md: what it has people type on the Droplet works there."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.container.test_life import residues
from tests.integrations.conftest import ROOT
from tests.rootfs import running
from tests.rootfs.planting import Edit, plant

ROAD = ROOT / "docs/from-droplet-to-submission.md"
ELSEWHERE = ("doctl", "packer", "scp ", "sha256sum")
FINAL = "img-clean --yes --check --self-remove --poweroff\n"


def typed() -> list[str]:
    """The blocks that are typed on the build machine, in order, up to the last."""
    blocks = re.findall(r"```sh\n(.*?)```", ROAD.read_text(), re.S)
    own = [block for block in blocks if not any(word in block for word in ELSEWHERE)]
    assert FINAL in own
    return own[:own.index(FINAL)]


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_the_way_by_hand(site, single, suite):
    box = site.host(suite).box
    plant(box.tree, {
        "/etc/ufw/ufw.conf": Edit("^ENABLED=yes", "ENABLED=no"),
        "/etc/update-motd.d/99-image-readme": None,
        "/var/lib/cloud/scripts/per-instance/001_onboot": None,
        "/root/notes~": None,
    })
    shutil.copy(single, box.tree / "usr/local/bin/img-check")
    box.run("userdel", "--remove", "anna")
    login = ("env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "bash")
    for block in typed():
        shown = box.run(*login, "-euc", block)
    assert "actions planned. Nothing was changed" in shown
    box.run(*login, "-c", FINAL, check=False)
    box.wait_off()
    assert not list(box.tree.glob("usr/local/bin/img-*"))
    left = running.check(box.tree, "--no-refresh")
    assert residues(left.report) == []
    assert [one["id"] for one in left.report["checks"] if one["status"] == "fail"] == []
