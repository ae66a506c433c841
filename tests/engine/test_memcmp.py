"""The memcmp(3) that is linked into the program in place of musl's."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from pathlib import Path

from tests.support import needs

ROOT = Path(__file__).parents[2]


def test_it_says_what_comes_first(tmp_path: Path) -> None:
    """For every length and place of a difference, at odd addresses too."""
    needs(shutil.which("gcc") is not None, "gcc")
    library = tmp_path / "memcmp.so"
    subprocess.run(["gcc", "-O2", "-fno-builtin", "-shared", "-fPIC", "-o", library,
                    ROOT / "packaging" / "memcmp.c"], check=True)
    compare = ctypes.CDLL(str(library)).memcmp
    compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    rng = random.Random(1)
    left, right = ctypes.create_string_buffer(200), ctypes.create_string_buffer(200)
    for _ in range(5000):
        size, shift = rng.randrange(150), rng.randrange(9)
        one = bytearray(rng.choice(b"\x00\x7f\x80\xff") for _ in range(size))
        two = bytearray(one)
        if size and rng.random() < 0.9:
            two[rng.randrange(size)] = rng.randrange(256)
        ctypes.memmove(ctypes.addressof(left) + shift, bytes(one), size)
        ctypes.memmove(ctypes.addressof(right), bytes(two), size)
        told = compare(ctypes.addressof(left) + shift, ctypes.addressof(right), size)
        assert (told > 0) - (told < 0) == (one > two) - (one < two)
