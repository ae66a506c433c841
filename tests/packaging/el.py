"""A tree that looks like Rocky Linux 9 to img-tools, with real rpm and dnf."""

from __future__ import annotations

from pathlib import Path

from tests.rootfs import trees

# Debian's dnf and rpm, an os-release of EL, and no dpkg or apt to be found.
RECIPE = f"""
    mmdebstrap --quiet --variant=minbase --components=main --include=dnf,rpm \\
        SUITE "$1" "deb {trees.MIRROR} SUITE main" </dev/null
    rm "$1/etc/os-release" "$1/usr/lib/os-release" "$1/etc/debian_version"
    printf '%s\\n' 'NAME="Rocky Linux"' 'ID="rocky"' 'ID_LIKE="rhel centos fedora"' \\
        'VERSION_ID="9.4"' 'PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"' > "$1/usr/lib/os-release"
    ln -s ../usr/lib/os-release "$1/etc/os-release"
    mkdir -p "$1/etc/rpm" "$1/etc/dnf" "$1/var/lib/rpm"
    echo '%_dbpath /var/lib/rpm' > "$1/etc/rpm/macros"
    printf '[main]\\nbest=True\\nskip_if_unavailable=False\\n' > "$1/etc/dnf/dnf.conf"
    ln -sf dnf-3 "$1/usr/bin/yum"
    mv "$1/var/lib/dpkg" "$1/srv/database"
    for name in apt apt-get apt-cache dpkg dpkg-query dpkg-deb; do
        mv "$1/usr/bin/$name" "$1/srv/"
    done
    chroot "$1" rpm --initdb
"""


def pristine() -> Path:
    """The cached tree, which nobody may write to."""
    trees.RECIPES["el"] = RECIPE
    return trees.pristine("bookworm", "el")
