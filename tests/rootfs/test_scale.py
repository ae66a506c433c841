"""Memory does not grow with the image. Time is measured by benchmarks/, never by a test."""

from __future__ import annotations

from tests.rootfs import running
from tests.rootfs.conftest import Tree
from tests.rootfs.planting import crowd

MB = 1 << 20


def test_memory_is_flat(tree: Tree) -> None:
    top = tree("bookworm")
    crowd(top, 1_000)
    few = running.peak_memory(top, "--no-refresh")
    crowd(top, 200_000)
    many = running.peak_memory(top, "--no-refresh")
    assert many <= 60 * MB
    assert many - few <= 6 * MB
