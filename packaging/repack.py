"""Rewrite a .tar.gz so that it is the same whoever made it when: order, owner, modes, times.

    repack.py ARCHIVE
"""

import gzip
import io
import os
import sys
import tarfile


def main(path: str) -> None:
    """Rewrite the archive at PATH; every time in it becomes SOURCE_DATE_EPOCH."""
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    packed = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(
        fileobj=packed, mode="w", format=tarfile.PAX_FORMAT
    ) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
    with open(path, "wb") as file:
        file.write(gzip.compress(packed.getvalue(), 9, mtime=0))


main(sys.argv[1])
