from types import SimpleNamespace

import psutil
import pytest

from img_tools.host import Host
from img_tools.model import Skip, Undecided
from tests.support import check

GIB = 1 << 30


@pytest.fixture
def disk(monkeypatch):
    """Make images count as the running system, with a disk of TOTAL and USED GiB."""
    def make(total, used):
        monkeypatch.setattr(Host, "live", property(lambda host: True))
        monkeypatch.setattr(psutil, "disk_usage", lambda path: SimpleNamespace(
            total=int(total * GIB), used=int(used * GIB)))
    return make


def test_a_mounted_tree_is_not_asked(image):
    with pytest.raises(Skip):
        check("disk-size", image())


@pytest.mark.parametrize(("total", "used", "enough"), [
    (24.05, 2.0, None),  # the $6 Droplet
    (9.6, 2.0, None),  # the $4 one
    (48.3, 2.0, 25),
    (48.3, 18.0, 25),
    (48.3, 19.0, 35),
    (77.4, 45.0, 60),
    (77.4, 70.0, None),
    (154.9, 6.0, 25),
    (2000.0, 900.0, None),
])
def test_the_disk_that_would_do(image, disk, total, used, enough):
    disk(total, used)
    found = check("disk-size", image())
    assert [finding.evidence["sufficient_gib"] for finding in found] == (
        [enough] if enough else [])
    assert all(finding.status == "warn" for finding in found)


def test_a_disk_that_cannot_be_asked(image, disk, monkeypatch):
    def refuse(path):
        raise OSError(5, "Input/output error")
    disk(1, 1)
    monkeypatch.setattr(psutil, "disk_usage", refuse)
    with pytest.raises(Undecided, match="Input/output"):
        check("disk-size", image())
