"""What `make dist` leaves in dist/: complete, of one version, and the same wherever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from img_tools import __version__
from tests.packaging.support import succeed

ROOT = Path(__file__).parents[2]
NAMES = {
    f"img-tools_{__version__}_amd64.deb", f"img-tools-{__version__}-1.x86_64.rpm",
    f"img-tools-{__version__}-linux-x86_64", f"img_tools-{__version__}.tar.gz",
    f"img_tools-{__version__}-py3-none-any.whl", "SHA256SUMS",
}


def test_all_are_there_and_have_the_checksums_that_are_published(dist):
    assert {path.name for path in dist.iterdir()} == NAMES
    checked = succeed("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=dist).splitlines()
    assert sorted(checked) == sorted(f"{name}: OK" for name in NAMES - {"SHA256SUMS"})


def test_both_packages_say_the_version_of_the_program():
    assert f"img-tools ({__version__})" in (ROOT / "debian/changelog").read_text().splitlines()[0]
    assert f"- {__version__}-1\n" in (ROOT / "rpm/img-tools.spec").read_text()


def test_the_source_archive_has_what_builds_and_tests_it(dist):
    with tarfile.open(dist / f"img_tools-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in ("checks/shell_history.py", "cleaners/logs.py", "tests/conftest.py",
                   "debian/rules", "rpm/img-tools.spec", "packaging/runtime.py", "Makefile",
                   "packaging/patches/01-CVE-2025-11468.patch", "LICENSE", "CHANGELOG.md"):
        assert wanted in names
    with zipfile.ZipFile(dist / f"img_tools-{__version__}-py3-none-any.whl") as wheel:
        assert "img_tools/checks/shell_history.py" in wheel.namelist()
        assert not [name for name in wheel.namelist() if name.startswith("tests/")]


@pytest.mark.skipif(os.environ.get("CI") != "true" and "IMG_TOOLS_REBUILD" not in os.environ,
                    reason="builds everything once more: IMG_TOOLS_REBUILD=1")
def test_a_build_elsewhere_is_the_same_to_the_byte(dist, tmp_path):
    """Another directory, another clock, another locale; the fetched sources alone are shared."""
    other = tmp_path / "elsewhere"
    files = succeed("git", "-C", ROOT, "ls-files", "-z").split("\0")
    for name in filter(None, files):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, other / name)
    shutil.copytree(ROOT / "build/runtime/sources", other / "build/runtime/sources")
    environment = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "HOME": str(tmp_path)}
    subprocess.run(["make", "dist"], cwd=other, env=environment, check=True, timeout=1500,
                   stdin=subprocess.DEVNULL, capture_output=True)
    assert (other / "dist/SHA256SUMS").read_text() == (dist / "SHA256SUMS").read_text()
