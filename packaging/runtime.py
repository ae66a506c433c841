#!/usr/bin/env python3
"""Build the Python that the packages bring: musl, zlib, CPython and psutil, linked static.

    runtime.py DIRECTORY [RUNTIME]

Needs a Debian with gcc, make, musl-tools, linux-libc-dev, patch, xz-utils, pip and sources of apt;
x86-64. About three minutes on two cores. With RUNTIME, which is what this made for x86-64, it
builds for aarch64, with zig instead of gcc and musl-tools. What comes out, for link.py:

    DIRECTORY/cc              the compiler, with the flags that all objects need
    DIRECTORY/python          an interpreter of the same version, which compiles the modules
    DIRECTORY/link            what the launcher is linked with, an argument a line
    DIRECTORY/lib/            the standard library and the third-party packages, as sources
    DIRECTORY/licences/       the licence of each part
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from sources import DEBIAN, PYPI, ZIG, fetch

HERE = Path(__file__).resolve().parent

# Parts of the standard library that are left out: they need a library that is not linked in, or
# are of no use to a program without a screen, a network of its own and a dynamic linker.
UNUSED_EXTENSIONS = (
    "_asyncio _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _ctypes "
    "_curses _curses_panel _dbm _decimal _gdbm _hashlib _interpchannels _interpqueues "
    "_interpreters _lsprof _lzma _multibytecodec _multiprocessing _posixshmem _sqlite3 _ssl "
    "_statistics _tkinter _uuid _zoneinfo readline xxlimited xxlimited_35 xxsubtype"
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

# What configure would find out by running what it has built.
CROSS = ["ac_cv_file__dev_ptmx=yes", "ac_cv_file__dev_ptc=no", "ac_cv_buggy_getaddrinfo=no"]

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


def unpack(archive: Path, place: Path) -> Path:
    """Unpack a tarball into PLACE without its top directory."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    run("tar", "xf", archive, "--strip-components=1", "--no-same-owner", cwd=place)
    return place


def compiler(build: Path) -> Path:
    """A compiler for musl that configure scripts take for gcc, which its name must say."""
    headers = build / "kernel"
    headers.mkdir(exist_ok=True)
    for name, path in {"linux": "/usr/include/linux", "asm-generic": "/usr/include/asm-generic",
                       "asm": "/usr/include/x86_64-linux-gnu/asm"}.items():
        (headers / name).unlink(missing_ok=True)
        (headers / name).symlink_to(path)
    return script(build / "musl-gcc", f"""
[ "$1" = --print-multiarch ] && exec echo x86_64-linux-musl
case "$*" in *Hacl_Hash_SHA2*) set -- "$@" -Os ;; esac  # unrolled, it is a megabyte
exec /usr/bin/musl-gcc -isystem {headers} -ffile-prefix-map={build}=. {' '.join(FLAGS)} "$@"
""")


def cross_compiler(build: Path, wheel: Path) -> Path:
    """The same for aarch64, with the ar and ranlib of its objects beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(build / "zig")
    zig = build / "zig/ziglang/zig"
    zig.chmod(0o755)
    caches = f"export ZIG_GLOBAL_CACHE_DIR={build}/cache ZIG_LOCAL_CACHE_DIR={build}/cache\n"
    for name in ("ar", "ranlib"):
        script(build / name, f'{caches}exec {zig} {name} "$@"\n')
    # By default zig traps undefined behaviour, which CPython has, and refuses __DATE__.
    return script(build / "musl-gcc", f"""{caches}
[ "$1" = --print-multiarch ] && exec echo aarch64-linux-musl
exec {zig} cc -target aarch64-linux-musl -fno-sanitize=undefined -Wno-date-time \\
    -ffile-prefix-map={build}=. {' '.join(FLAGS)} "$@"
""")


def script(path: Path, text: str) -> Path:
    """PATH, a shell script from now on."""
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def build_zlib(build: Path, archive: Path, tools: list[str]) -> Path:
    """libz.a, in the directory that is returned."""
    zlib = unpack(archive, build / "zlib")
    run("env", *tools, "./configure", "--static", cwd=zlib, log=build / "zlib.log")
    run("make", f"-j{os.cpu_count()}", "libz.a", cwd=zlib, log=build / "zlib.log")
    return zlib


def build_python(build: Path, archive: Path, tools: list[str], zlib: Path,
                 cross: list[str]) -> Path:
    """CPython with every extension inside, in the directory that is returned."""
    python = unpack(archive, build / "cpython")
    for patch in sorted((HERE / "patches").glob("*.patch")):
        run("patch", "-p1", "-F0", "-i", patch, cwd=python)
    run("env", *tools, f"CPPFLAGS=-I{zlib}", f"LDFLAGS={' '.join(LINK)} -L{zlib}",
        "MODULE_BUILDTYPE=static", "PKG_CONFIG=/bin/false",  # no library of the build machine
        "OPT=-DNDEBUG -fwrapv -O2",  # not -O3: larger, and no faster here
        "LINKFORSHARED= ",  # there is nothing to export symbols to
        *(f"py_cv_module_{name}=n/a" for name in UNUSED_EXTENSIONS),
        "./configure", "--prefix=/usr", "--disable-shared", "--disable-test-modules",
        "--without-ensurepip", "--without-doc-strings", "--disable-ipv6", *cross,
        cwd=python, log=build / "configure.log")
    run("make", f"-j{os.cpu_count()}", "python", "libpython3.13.a", cwd=python,
        log=build / "python.log")
    run("env", *tools, "sh", "-c", "${AR:-ar} d libpython3.13.a frozen.o",  # link.py makes one
        cwd=python)
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
    for directory in (lib := build / "lib", licences := build / "licences"):
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
    shutil.copy(build / "psutil-source/LICENSE", licences / "psutil")
    shutil.copy(python / "LICENSE", licences / "python")
    shutil.copy(python / "Doc/license.rst", licences / "python-parts")  # expat, HACL*, mimalloc...
    shutil.copy(build / "zlib/LICENSE", licences / "zlib")
    shutil.copy("/usr/share/doc/musl/copyright", licences / "musl")


def main() -> None:
    """Fetch, build, and write down what link.py needs."""
    build, *native = (Path(argument).resolve() for argument in sys.argv[1:])
    sources = build / "sources"
    fetch(sources, PYPI | (ZIG if native else {}))
    if native:
        cc = cross_compiler(build, sources / ZIG["ziglang"][0])
        tools = [f"CC={cc}", f"AR={build}/ar", f"RANLIB={build}/ranlib"]
        cross = ["--build=x86_64-linux-gnu", "--host=aarch64-linux-musl", *CROSS,
                 f"--with-build-python={native[0]}/python"]
    else:
        cc = compiler(build)
        tools, cross = [f"CC={cc}"], []
    zlib = build_zlib(build, sources / DEBIAN["zlib"][0], tools)
    python = build_python(build, sources / DEBIAN["python3.13"][0], tools, zlib, cross)
    objects = build_psutil(build, sources / PYPI["psutil"][0], cc, python)
    libraries = run("make", "-s", "--eval=libraries: ; @echo $(MODLIBS) $(LIBS) $(SYSLIBS)",
                    "libraries", cwd=python).split()
    collect(build, sources, python)
    (build / "link").write_text("\n".join([
        *LINK, f"-I{python}/Include", f"-I{python}", *map(str, objects),
        str(python / "libpython3.13.a"),
        *(str(python / word) if word.endswith(".a") else word for word in libraries),
        f"-L{zlib}"]) + "\n")
    runs = native[0] / "python" if native else python / "python"
    for name, target in {"python": runs, "cc": cc}.items():
        (build / name).unlink(missing_ok=True)
        (build / name).symlink_to(target)


if __name__ == "__main__":
    main()
