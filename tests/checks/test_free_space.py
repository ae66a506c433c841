"""What is free is read and judged; a tree that is a directory has no free space of its own."""

from __future__ import annotations

import pytest

from img_tools import erase
from img_tools.model import Skip, Undecided
from tests.support import check

TARGET = erase.Target("/", "/mnt/image", "30", "ext4", 1 << 30)
BOOT = erase.Target("/boot", "/mnt/image/boot", "31", "vfat", 1 << 20)


@pytest.fixture
def on(image, monkeypatch):
    """on(samples) -> a host on these targets, each of which reads as its sample."""
    def made(samples):
        monkeypatch.setattr(erase, "find", lambda top: erase.Storage(tuple(samples), ()))

        def sample(target, limit):
            if isinstance(samples[target], Exception):
                raise samples[target]
            return samples[target]

        monkeypatch.setattr(erase, "sample", sample)
        return image()

    return made


def test_a_tree_in_a_directory_is_no_file_system(image):
    with pytest.raises(Skip, match="no file system of its own"):
        check("free-space", image())


def test_zeros_are_fine(on):
    assert check("free-space", on({TARGET: erase.Sample(1 << 30, 1 << 30, 0)})) == []


def test_what_is_left_of_deleted_files_is_measured(on):
    (found,) = check("free-space", on({TARGET: erase.Sample(1 << 33, 1 << 30, 1 << 28)}))
    assert (found.status.value, found.code, found.path) == ("warn", "not-zero", "/")
    assert found.message == "25 % of the free space of / is not zero"
    assert found.evidence == {"free_bytes": 1 << 33, "read_bytes": 1 << 30,
                              "dirty_bytes": 1 << 28}
    assert found.remediation.endswith("--yes --only free-space")


def test_a_file_system_that_does_not_tell_is_no_pass(on):
    host = on({TARGET: erase.Sample(1 << 30, 1 << 30, 0), BOOT: Undecided("/boot tells nothing")})
    with pytest.raises(Undecided, match="/boot tells nothing"):
        check("free-space", host)


def test_swap_is_not_free_space(on):
    swap = erase.Target("/dev/vdb", "/dev/vdb", "", "swap", 1 << 30)
    with pytest.raises(Skip):
        check("free-space", on({swap: Undecided("not asked")}))
