#!/usr/bin/env python3
"""Build the Python that the packages bring: musl, zlib, CPython and psutil, linked static.

    runtime.py DIRECTORY [--sources DIRECTORY]

Needs a Debian with gcc, make, musl-tools, linux-libc-dev, patch, xz-utils, pip and sources of apt;
x86-64. About three minutes on two cores. What comes out, for link.py:

    DIRECTORY/cc              the compiler, with the flags that all objects need
    DIRECTORY/python          an interpreter of the same version, which compiles the modules
    DIRECTORY/link            what the launcher is linked with, an argument a line
    DIRECTORY/lib/            the standard library and the third-party packages, as sources
    DIRECTORY/licences/       the licence of each part
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Tarballs of upstream as Debian 13 has them; it keeps them for the life of the release.
DEBIAN = {
    "python3.13": ("python3.13_3.13.5.orig.tar.xz",
                   "93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640"),
    "zlib": ("zlib_1.3.dfsg+really1.3.1.orig.tar.gz",
             "60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb"),
}
SUITE = "deb-src [signed-by={key}] http://deb.debian.org/debian trixie main\n"
KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"

# psutil and PyYAML are built from C, too: of PyYAML we take the Python half alone.
PYPI = {
    "psutil": ("psutil-7.2.2.tar.gz",
               "0746f5f8d406af344fd547f1c8daa5f5c33dbc293bb8d6a16d80b4bb88f59372"),
    "click": ("click-8.5.1-py3-none-any.whl",
              "8bb5376d2006950386f8c6427613334a2acadc5f559cb80e638d00b4df957e37"),
    "distro": ("distro-1.9.0-py3-none-any.whl",
               "7bffd925d65168f85027d8da9af6bddab658135b840670a223589bc0c8ef02b2"),
    "packaging": ("packaging-26.3-py3-none-any.whl",
                  "d7193f7c8e4e93f444fde0262bf90af30e16fa0ad0ad44cb553c87339b23cd1c"),
    "pyyaml": ("pyyaml-6.0.4-cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64"
               ".manylinux_2_28_x86_64.whl",
               "50588147ab2c6a59b5f990a4905db80899a6c2bd197e046a6201f1e67587e794"),
}

# Parts of the standard library that are left out: they need a library that is not linked in, or
# are of no use to a program without a screen, a network of its own and a dynamic linker.
UNUSED_EXTENSIONS = (
    "_asyncio _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _ctypes "
    "_curses _curses_panel _dbm _decimal _gdbm _hashlib _interpchannels _interpqueues "
    "_interpreters _lsprof _lzma _multibytecodec _multiprocessing _posixshmem _sqlite3 _ssl "
    "_statistics _tkinter _uuid _zoneinfo nis ossaudiodev readline spwd xxlimited xxlimited_35 "
    "xxsubtype"
).split()

FLAGS = [
    "-O2",
    "-fno-asynchronous-unwind-tables",  # half a megabyte that only C++ and debuggers read
    "-ffunction-sections", "-fdata-sections",  # so that the linker can leave out what is not used
    "-fno-pie",  # a fixed address: smaller, and no relocations at start
    "-DTHREAD_STACK_SIZE=0x800000",  # musl's threads have 128 kB, too little for deep recursion
]
LINK = ["-static", "-no-pie", "-Wl,--gc-sections",
        "-Wl,-z,stack-size=0x800000"]  # the default of threads that Python did not start

# Nothing of the builder's environment, clock or locale may show in what is built.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "0", "HOME": "/nonexistent",
}


def run(*command: str | Path, cwd: Path, log: Path | None = None) -> str:
    """Run COMMAND in ENVIRONMENT, its output into LOG; the end of it is shown when it fails."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env=ENVIRONMENT, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if log:
        log.write_text(done.stdout)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


# -- sources -----------------------------------------------------------------------------------


def fetch(place: Path) -> None:
    """Bring what is missing of the pinned sources to PLACE, and verify all of them."""
    place.mkdir(parents=True, exist_ok=True)
    wanted = {name: [*DEBIAN, *PYPI][index]
              for index, (name, _) in enumerate([*DEBIAN.values(), *PYPI.values()])}
    missing = [package for name, package in wanted.items() if not (place / name).exists()]
    fetch_debian(place, [package for package in missing if package in DEBIAN])
    fetch_pypi(place, [package for package in missing if package in PYPI])
    for name, digest in [*DEBIAN.values(), *PYPI.values()]:
        path = place / name
        if not path.exists():
            sys.exit(f"{name}: not in the registry any more; pin another version in {__file__}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            path.rename(path.with_name(path.name + ".wrong"))
            sys.exit(f"{name}: wrong checksum")


def fetch_debian(place: Path, packages: list[str]) -> None:
    """Upstream tarballs, with indexes of our own: the build machine's apt is not touched."""
    if not packages:
        return
    state = place / "apt"
    for directory in ("lists/partial", "cache/archives/partial"):
        (state / directory).mkdir(parents=True, exist_ok=True)
    (state / "sources.list").write_text(SUITE.format(key=KEY))
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root",
           "-o", f"Dir::Etc::SourceList={state}/sources.list", "-o", "Dir::Etc::SourceParts=-",
           "-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
    retry(*apt, "update", cwd=place)
    retry(*apt, "source", "--download-only", "--tar-only", *packages, cwd=place)
    shutil.rmtree(state)


def fetch_pypi(place: Path, packages: list[str]) -> None:
    """Wheels of Python code, and psutil's sources."""
    for package in packages:
        name, digest = PYPI[package]
        version = name.split("-")[1].removesuffix(".tar.gz")
        (place / "pin.txt").write_text(f"{package}=={version} --hash=sha256:{digest}\n")
        kind = (["--no-binary", package] if name.endswith(".tar.gz") else
                ["--only-binary", ":all:", "--python-version", "3.13",
                 "--platform", "manylinux2014_x86_64"])
        retry(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes",
              *kind, "-d", place, "-r", place / "pin.txt", cwd=place)


def retry(*command: str | Path, cwd: Path) -> None:
    """Run COMMAND in the builder's environment (proxies, pip's configuration), twice if need be."""
    for last in (False, True):
        done = subprocess.run([*map(str, command)], cwd=cwd, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return
        if last:
            sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}")


def unpack(archive: Path, place: Path) -> Path:
    """Unpack a tarball into PLACE without its top directory."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    run("tar", "xf", archive, "--strip-components=1", "--no-same-owner", cwd=place)
    return place


# -- building ----------------------------------------------------------------------------------


def compiler(build: Path) -> Path:
    """A compiler for musl that configure scripts take for gcc, which its name must say."""
    headers = build / "kernel"
    headers.mkdir(exist_ok=True)
    for name, path in {"linux": "/usr/include/linux", "asm-generic": "/usr/include/asm-generic",
                       "asm": "/usr/include/x86_64-linux-gnu/asm"}.items():
        (headers / name).unlink(missing_ok=True)
        (headers / name).symlink_to(path)
    wrapper = build / "musl-gcc"
    wrapper.write_text(f"""#!/bin/sh
[ "$1" = --print-multiarch ] && exec echo x86_64-linux-musl
case "$*" in *Hacl_Hash_SHA2*) set -- "$@" -Os ;; esac  # unrolled, it is a megabyte
exec /usr/bin/musl-gcc -isystem {headers} -ffile-prefix-map={build}=. {' '.join(FLAGS)} "$@"
""")
    wrapper.chmod(0o755)
    return wrapper


def build_zlib(build: Path, archive: Path, cc: Path) -> Path:
    """libz.a, in the directory that is returned."""
    zlib = unpack(archive, build / "zlib")
    run("env", f"CC={cc}", "./configure", "--static", cwd=zlib, log=build / "zlib.log")
    run("make", f"-j{os.cpu_count()}", "libz.a", cwd=zlib, log=build / "zlib.log")
    return zlib


def build_python(build: Path, archive: Path, cc: Path, zlib: Path) -> Path:
    """CPython with every extension inside, in the directory that is returned."""
    python = unpack(archive, build / "cpython")
    for patch in sorted((HERE / "patches").glob("*.patch")):
        run("patch", "-p1", "-F0", "-i", patch, cwd=python)
    run("env", f"CC={cc}", f"CPPFLAGS=-I{zlib}", f"LDFLAGS={' '.join(LINK)} -L{zlib}",
        "MODULE_BUILDTYPE=static", "PKG_CONFIG=/bin/false",  # no library of the build machine
        "OPT=-DNDEBUG -fwrapv -O2",  # not -O3: larger, and no faster here
        "LINKFORSHARED= ",  # there is nothing to export symbols to
        *(f"py_cv_module_{name}=n/a" for name in UNUSED_EXTENSIONS),
        "./configure", "--prefix=/usr", "--disable-shared", "--disable-test-modules",
        "--without-ensurepip", "--without-doc-strings", "--disable-ipv6",
        cwd=python, log=build / "configure.log")
    run("make", f"-j{os.cpu_count()}", "python", "libpython3.13.a", cwd=python,
        log=build / "python.log")
    return python


def build_psutil(build: Path, archive: Path, cc: Path, python: Path) -> list[Path]:
    """Objects of psutil's extension; the launcher registers it under its dotted name."""
    psutil = unpack(archive, build / "psutil-source")
    sources = [psutil / "psutil/_psutil_linux.c",
               *(path for part in ("all", "posix", "linux")
                 for path in sorted((psutil / f"psutil/arch/{part}").glob("*.c")))]
    version = archive.name.split("-")[1].removesuffix(".tar.gz").replace(".", "")
    objects = []
    for source in sources:
        target = psutil / f"{source.parent.name}-{source.stem}.o"
        run(cc, "-c", source, "-o", target, f"-I{python}/Include", f"-I{python}",
            "-D_GNU_SOURCE=1", "-DPSUTIL_POSIX=1", "-DPSUTIL_LINUX=1", "-DPSUTIL_SIZEOF_PID_T=4",
            f"-DPSUTIL_VERSION={version}", cwd=psutil)
        objects.append(target)
    return objects


def collect(build: Path, sources: Path, python: Path) -> None:
    """Python modules into lib/, licences into licences/."""
    lib, licences = build / "lib", build / "licences"
    for directory in (lib, licences):
        shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(python / "Lib", lib, ignore=shutil.ignore_patterns("test", "idlelib"))
    for data in python.glob("build/lib.*/_sysconfigdata_*.py"):
        shutil.copy(data, lib)
    shutil.copytree(build / "psutil-source/psutil", lib / "psutil",
                    ignore=shutil.ignore_patterns("*.c", "arch"))
    licences.mkdir()
    for package, (name, _) in PYPI.items():
        if name.endswith(".whl"):
            with zipfile.ZipFile(sources / name) as wheel:
                for member in wheel.namelist():
                    if member.endswith(".py"):
                        wheel.extract(member, lib)
                    elif "LICEN" in member or "COPYING" in member:
                        text = licences / f"{package}{Path(member).suffix.replace('.txt', '')}"
                        text.write_bytes(wheel.read(member))
    with tarfile.open(sources / PYPI["psutil"][0]) as archive:
        text = archive.extractfile(f"{PYPI['psutil'][0].removesuffix('.tar.gz')}/LICENSE")
        (licences / "psutil").write_bytes(text.read() if text else b"")
    shutil.copy(python / "LICENSE", licences / "python")
    shutil.copy(python / "Doc/license.rst", licences / "python-parts")  # expat, HACL*, mimalloc...
    shutil.copy(build / "zlib/LICENSE", licences / "zlib")
    shutil.copy("/usr/share/doc/musl/copyright", licences / "musl")


def main() -> None:
    """Fetch, build, and write down what link.py needs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--sources", type=Path)
    arguments = parser.parse_args()
    build = arguments.directory.resolve()
    sources = (arguments.sources or build / "sources").resolve()
    build.mkdir(parents=True, exist_ok=True)
    fetch(sources)
    cc = compiler(build)
    zlib = build_zlib(build, sources / DEBIAN["zlib"][0], cc)
    python = build_python(build, sources / DEBIAN["python3.13"][0], cc, zlib)
    objects = build_psutil(build, sources / PYPI["psutil"][0], cc, python)
    libraries = run("make", "-s", "--eval=libraries: ; @echo $(MODLIBS) $(LIBS) $(SYSLIBS)",
                    "libraries", cwd=python).split()
    collect(build, sources, python)
    (build / "link").write_text("\n".join([
        *LINK, f"-I{python}/Include", f"-I{python}", *map(str, objects),
        str(python / "libpython3.13.a"),
        *(str(python / word) if word.endswith(".a") else word for word in libraries),
        f"-L{zlib}"]) + "\n")
    for name, target in {"python": python / "python", "cc": cc}.items():
        (build / name).unlink(missing_ok=True)
        (build / name).symlink_to(target)


if __name__ == "__main__":
    main()
