"""Who a machine says it is when it asks for an address, read off the wire."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

CLIENT_IDENTIFIER = 61  # RFC 2132, section 9.14
_COOKIE = b"\x63\x82\x53\x63"


def client_identifiers(packets: Path) -> set[bytes]:
    """Option 61 of every request in PACKETS, a capture as QEMU's filter-dump writes it."""
    return {identifier for payload in _requests(packets.read_bytes())
            if (identifier := _options(payload).get(CLIENT_IDENTIFIER))}


def _requests(capture: bytes) -> Iterator[bytes]:
    """The DHCP messages to a server: what comes from UDP port 68 over IPv4."""
    position = 24  # the header of the file
    while position + 16 <= len(capture):
        (length,) = struct.unpack_from("<I", capture, position + 8)
        frame = capture[position + 16:position + 16 + length]
        position += 16 + length
        if frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x11":
            udp = frame[14 + 4 * (frame[14] & 15):]
            if udp[:2] == b"\0\x44":
                yield udp[8:]


def _options(message: bytes) -> dict[int, bytes]:
    """The options of a DHCP MESSAGE (RFC 2131), by number."""
    _, cookie, rest = message.partition(_COOKIE)
    options = {}
    while cookie and len(rest) > 1 and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2:2 + rest[1]]
        rest = rest[2 + rest[1]:]
    return options
