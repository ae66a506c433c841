"""What `make dist ARCH=aarch64` built, under qemu-user. Building it is not part of CI."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from img_tools import __version__
from img_tools.policy import RELEASES
from tests.packaging.layouts import layout
from tests.packaging.support import run, succeed
from tests.support import build, validated

DIST = Path(__file__).parents[2] / "dist-aarch64"
NAME = f"img-tools-{__version__}"

pytestmark = pytest.mark.may_skip("built and emulated where somebody asks for it")


@pytest.fixture
def program() -> Path:
    path = DIST / f"{NAME}-linux-aarch64"
    if not path.exists():
        pytest.skip("not built: make dist ARCH=aarch64")
    return path


@pytest.fixture
def emulated(program: Path) -> tuple[str | Path, ...]:
    """What runs it here."""
    if not shutil.which("qemu-aarch64-static"):
        pytest.skip("qemu-user-static is not installed")
    return "qemu-aarch64-static", program


def test_all_is_built_for_it(program):
    (machine,) = struct.unpack_from("<H", program.read_bytes(), 18)
    aarch64 = 183
    assert machine == aarch64
    assert program.stat().st_size < 11.2e6
    deb, rpm = DIST / f"img-tools_{__version__}_arm64.deb", DIST / f"{NAME}-1.aarch64.rpm"
    assert succeed("dpkg-deb", "--field", deb, "Architecture") == "arm64\n"
    assert succeed("rpm", "-qp", "--qf", "%{ARCH}", rpm) == "aarch64"
    for package in (deb, rpm):
        assert package.stat().st_size < 4e6


def test_it_says_what_the_other_says(emulated, single):
    assert succeed(*emulated, "img-clean", "--version") == f"img-clean {__version__}\n"
    assert succeed(*emulated, "img-check", "--list") == succeed(single, "img-check", "--list")


def test_it_judges_an_image_as_the_other_does(emulated, single, tmp_path, root):
    build(tmp_path / "tree", layout(RELEASES[3]))
    statuses = []
    for program in (emulated, (single,)):
        done = run(*program, "img-check", "--root", tmp_path / "tree", "--no-refresh",
                   "--format", "json", "--quiet")
        assert done.stderr == ""
        statuses.append({check["id"]: check["status"]
                         for check in validated(done.stdout)["checks"]})
    assert statuses[0] == statuses[1]
    assert statuses[0]["shell-history"] == "fail"
