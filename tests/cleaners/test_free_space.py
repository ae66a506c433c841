"""What is planned for which file system; the erasing itself is tested in tests/erase."""

from __future__ import annotations

import pytest
from img_tools.cleaners import free_space

from img_tools import erase
from img_tools.actions import Phase
from img_tools.erase import LeftOut, Storage, Target
from img_tools.model import Skip
from tests.support import plan

ROOT = Target("/", "/mnt/i", "30", "ext4", 5 << 30)
SWAP = Target("/dev/vdb", "/dev/vdb", "", "swap", 1 << 30)


@pytest.fixture
def on(image, monkeypatch):
    """on(mode, storage) -> a host on STORAGE that is asked for MODE."""
    def made(mode, storage):
        monkeypatch.setattr(erase, "find", lambda top: storage)
        host = image()
        host.erase_mode = mode
        return host

    return made


def test_each_file_system_and_swap_is_planned_with_what_is_free_and_how(on):
    root, swap = plan("free-space", on("auto", Storage((ROOT, SWAP), ())))
    assert (root.path, root.place, root.mount, root.kind, root.mode, root.free) == (
        "/", "/mnt/i", "30", "ext4", "auto", 5 << 30)
    assert "where it is not zero" in root.why
    assert "UUID and label stay" in swap.why


def test_full_and_trim_are_said_and_trim_leaves_swap_alone(on):
    (root,) = plan("free-space", on("trim", Storage((ROOT, SWAP), ())))
    assert root.why == "discarded, and not looked at"
    assert plan("free-space", on("full", Storage((ROOT,), ())))[0].why == "all of it is overwritten"


def test_off_is_off(on):
    with pytest.raises(Skip, match="--erase off"):
        plan("free-space", on("off", Storage((ROOT,), ())))


def test_a_directory_of_a_larger_file_system_is_left_alone(image):
    """Or img-clean --root CHROOT would fill the disk of the machine it runs on."""
    host = image()
    host.erase_mode = "auto"
    with pytest.raises(Skip, match="directory of a larger file system"):
        plan("free-space", host)


def test_why_the_root_has_none_is_said(on):
    left_out = (LeftOut("/", "overlay", "it lies in directories of another file system"),)
    with pytest.raises(Skip, match="overlay: it lies in"):
        plan("free-space", on("auto", Storage((), left_out)))


def test_its_turn_is_after_all_that_removes_and_before_the_last_truncation():
    """SSH keys that go later are found in free space, as a Debian 13 in a VM showed."""
    assert Phase.IDENTITY < Phase.ACCESS < free_space.PHASE < Phase.FINAL
