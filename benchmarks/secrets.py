"""Time and memory of the search for secrets, beside `grep -rlaE` over the same files.

    python -m benchmarks.secrets [--source DIR]... [--rounds 3] [--place DIR]

Makes a tree of 100,000 files, 2 GB, of the text that is found below the directories SOURCE, with a
secret in every thousandth, and has both search it, one after the other, ROUNDS times. The pattern
for grep is one of twenty forms, fewer than img-check knows. CPU time is what is compared, since a
machine has other things to do as well; wall-clock time is shown beside it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.rootfs import running

FILES, SIZE = 100_000, 2_000_000_000
MB = 1e6
RATIO, MEMORY = 1.5, 100  # at most: times of grep's, MB
TEXT = (500, 200_000)  # bytes of the files that are taken
TOKEN = b"\nTOKEN=ghp_" + b"aB3dE5gH7jK9mN1pQ2sT4vW6yZ8cF0hJ4kL6\n"
PATTERN = "|".join((
    "do[opr]_v1_[a-f0-9]{64}", "(A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
    "gh[pousr]_[A-Za-z0-9]{36}", "github_pat_[A-Za-z0-9_]{82}",
    "gl(pat|dt|rt|ptt|soat|cbt|agent)-[A-Za-z0-9_-]{20}", "xox[abeoprs]-[0-9A-Za-z-]{10,}",
    "npm_[A-Za-z0-9]{36}", "pypi-AgEIcHlwaS5vcmc", '"type": *"service_account"',
    "AIza[A-Za-z0-9_-]{35}", "[sr]k_(live|test)_[A-Za-z0-9]{24}", "sk-ant-(api03|admin01)-",
    "T3BlbkFJ", "hf_[A-Za-z0-9]{34}", "tskey-[a-z]+-", r"hv[sbr]\.[A-Za-z0-9_-]{24}",
    r"SG\.[A-Za-z0-9_-]{22}\.", "AGE-SECRET-KEY-1", "-----BEGIN [A-Z ]*PRIVATE KEY",
    "[a-z][a-z0-9+.-]*://[^/ :@]+:[^/ @]+@"))


def main() -> int:
    """Measure and print; 1 when a goal was missed."""
    args = _arguments()
    with tempfile.TemporaryDirectory(dir=args.place) as place:
        print(f"{FILES:,} files, {_fill(Path(place), args.source) / MB:,.0f} MB")
        grep = ["grep", "-rlaE", PATTERN, place]
        asked = ("--no-refresh", "--only", "tokens,private-keys")
        ours = running.outside(Path(place), *asked)
        rounds = [(_run(grep), _run(ours)) for _ in range(args.rounds)]
        memory = running.peak_memory(Path(place), *asked) / MB
    for name, runs in zip(("grep", "img-check"), zip(*rounds, strict=True), strict=True):
        cpu, wall = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:10} {cpu:6.1f} s of CPU time, {wall:6.1f} s in all")
    ratio = statistics.median(ours[0] / grep[0] for grep, ours in rounds)
    print(f"ratio {ratio:.2f} (goal {RATIO}), memory {memory:.0f} MB (goal {MEMORY})")
    return int(ratio > RATIO or memory > MEMORY)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.secrets", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", action="append", type=Path, help="where to take text from "
                        "(repeat; default: /usr/share, /usr/lib/python3)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument("--place", help="where to make the tree (default: TMPDIR)")
    return parser.parse_args()


def _fill(top: Path, sources: Sequence[Path] | None) -> int:
    """Make the tree below TOP; returns its bytes."""
    text = b"".join(_texts(sources or [Path("/usr/share"), Path("/usr/lib/python3")]))
    (top / "etc").mkdir()
    (top / "etc/os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    size, start, written = SIZE // FILES, 0, 0
    for number in range(FILES):
        path = top / f"opt/app/{number // 1000}/{number // 50 % 20}/{number}.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        start = start + size if start + 2 * size < len(text) else 0
        secret = TOKEN if number % 1000 == 0 else b""
        written += path.write_bytes(text[start:start + size] + secret)
    return written


def _texts(sources: Sequence[Path]) -> Iterator[bytes]:
    for source in sources:
        for directory, _, names in os.walk(source):
            for path in (Path(directory, name) for name in names):
                if path.is_file() and not path.is_symlink() and (
                        TEXT[0] < path.stat().st_size < TEXT[1]):
                    data = path.read_bytes()
                    if b"\0" not in data[:8192]:
                        yield data


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds of CPU time and in all that COMMAND takes; it must find something."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          env={**os.environ, "LC_ALL": "C"}, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if b"/opt/app/" not in done.stdout:
        raise RuntimeError(f"{command[0]} found nothing")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


if __name__ == "__main__":
    sys.exit(main())
