"""What looks for canaries on a disk finds them wherever they lie; DHCP requests are read."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from tests.vm import dhcp, disk


@pytest.mark.parametrize("before", [0, 1, 5, 9])
@pytest.mark.parametrize("hole", [0, 3 * disk.CHUNK])
def test_found_across_chunks_and_after_holes(tmp_path: Path, before: int, hole: int) -> None:
    place = disk.CHUNK + hole - before
    with open(tmp_path / "disk", "wb") as file:
        if not hole:
            file.write(b"\xff" * disk.CHUNK)
        file.seek(place)
        file.write(b"needle-77")
        file.truncate(20 * disk.CHUNK)
    found = disk.found(tmp_path / "disk", re.compile(rb"needle-\d\d"), re.compile(b"nothing"))
    assert found == {b"needle-77": [place]}


def test_client_identifiers_of_a_capture(tmp_path: Path) -> None:
    options = b"\x35\x01\x03" + b"\0" + b"\x3d\x03\xffab" + b"\xff"
    message = bytes(236) + b"\x63\x82\x53\x63" + options
    udp = struct.pack(">HHHH", 68, 67, 8 + len(message), 0) + message
    frame = bytes(12) + b"\x08\0" + b"\x45" + bytes(8) + b"\x11" + bytes(10) + udp
    answer = frame.replace(struct.pack(">HH", 68, 67), struct.pack(">HH", 67, 68), 1)
    capture = bytes(24)
    for packet in (answer.replace(b"ab", b"cd"), frame, bytes(60), frame):
        capture += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
    (tmp_path / "dump").write_bytes(capture)
    assert dhcp.client_identifiers(tmp_path / "dump") == {b"\xffab"}
