"""Freeze the modules and link the program. The Python of runtime.py runs this.

    RUNTIME/python link.py RUNTIME OUTPUT
"""

import ast
import hashlib
import marshal
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

from memo import REUSE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

# Modules of the standard library that are left out: they need an extension that runtime.py leaves
# out, talk to a person or a compiler, serve a network, or are large (html: a table of entities). A
# plugin may import all the others. To bring one, take its name out here, and what it needs of C
# out of UNUSED_EXTENSIONS in runtime.py; a test names what our code imports and is not brought.
UNUSED = set("""
    __phello__ _aix_support _android_support _apple_support _ios_support _osx_support
    _pydatetime _pydecimal _pyio _pylong _pyrepl antigravity asyncio bdb bz2 cProfile cmd code
    codeop compileall concurrent.futures.process ctypes curses dbm decimal doctest
    email._header_value_parser email.contentmanager email.headerregistry email.mime email.policy
    ensurepip fractions ftplib html http.cookiejar http.cookies http.server idlelib imaplib
    logging.config logging.handlers lzma mailbox modulefinder multiprocessing nturl2path
    optparse pdb pickletools plistlib poplib profile pstats pty py_compile pyclbr pydoc
    pydoc_data rlcompleter sched shelve site smtplib socketserver sqlite3 ssl statistics
    symtable tabnanny test this tkinter trace turtle turtledemo unittest venv wave webbrowser
    wsgiref xml.dom.expatbuilder xml.dom.minidom xmlrpc zipapp zoneinfo
    _yaml click._winconsole click.testing packaging.licenses packaging.metadata
    packaging.pylock psutil._psaix psutil._psbsd psutil._psosx psutil._pssunos
    psutil._pswindows yaml.cyaml
""".split())
ENCODINGS = set("""
    __init__ aliases ascii base64_codec charmap cp1252 cp437 hex_codec idna iso8859_1 iso8859_15
    latin_1 punycode raw_unicode_escape unicode_escape utf_16 utf_16_be utf_16_le utf_32
    utf_32_be utf_32_le utf_8 utf_8_sig
""".split())
LEARNT = ("img_tools", "click", "distro", "packaging", "yaml")  # see memo.py
# What these two are called when the interpreter loads them, before it can import.
BOOTSTRAP = {"importlib._bootstrap": "_frozen_importlib",
             "importlib._bootstrap_external": "_frozen_importlib_external"}


def modules(top: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    """Every module below TOP by its dotted name."""
    for path in sorted(top.rglob("*.py")):
        parts = path.relative_to(top).with_suffix("").parts
        name = ".".join([*prefix.split(), *(part for part in parts if part != "__init__")])
        if name:
            yield name, path


def wanted(name: str, path: Path) -> bool:
    """Whether the module NAME is frozen in."""
    if name.startswith("encodings") and path.stem not in ENCODINGS:
        return False
    parts = name.split(".")
    return not any(".".join(parts[:n]) in UNUSED for n in range(1, len(parts) + 1)) and (
        not name.startswith("_sysconfigdata"))


def source(name: str, path: Path) -> str:
    """The text to compile: packages that look into their directory are told what is there."""
    text = path.read_text("utf-8")
    if name in ("img_tools.checks", "img_tools.cleaners"):
        text += f"\n__all__ = {sorted(p.stem for p in path.parent.glob('[!_]*.py'))}\n"
    if name == "img_tools.schema":
        files = {p.name: p.read_text("utf-8") for p in sorted(path.parent.glob("*.json"))}
        text += f"\n_FILES = {files}\n\ndef text(name: str) -> str:\n    return _FILES[name]\n"
    return text + REUSE.get(name, "")


def frozen(runtime: Path) -> Iterator[tuple[str, bool, bytes]]:
    """Name, whether it is a package, and code of every module, sorted."""
    found = {name: path for name, path in modules(runtime / "lib") if wanted(name, path)}
    for directory, prefix in (("img_tools", "img_tools"), ("checks", "img_tools checks"),
                              ("cleaners", "img_tools cleaners")):
        found |= dict(modules(ROOT / directory, prefix))
        found[prefix.replace(" ", ".")] = ROOT / directory / "__init__.py"
    yield "_memo", False, freeze("_memo", memo(runtime, sorted(found)))
    found["__main__"] = HERE / "start.py"
    for name, path in sorted(found.items()):
        yield name, path.stem == "__init__", freeze(name, source(name, path))
    texts = "\n".join(f"{path.name:=^80}\n\n{path.read_text('utf-8')}" for path in
                      [ROOT / "LICENSE", *sorted((runtime / "licences").iterdir())])
    packed = zlib.compress(texts.encode(), 9)
    yield "licences", False, freeze("licences", f"import zlib\nTEXT = zlib.decompress({packed})\n")


def memo(runtime: Path, names: list[str]) -> str:
    """The source of the module _memo: see memo.py."""
    learnt = subprocess.run(
        [runtime / "python", "-I", "-S", "-B", HERE / "memo.py", runtime / "lib", ROOT,
         *(name for name in names if name.partition(".")[0] in LEARNT)],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    texts, patterns = ast.literal_eval(learnt)
    methods = {hashlib.sha256(text.encode()).digest():
               marshal.dumps(lean(compile(text, "<dataclass>", "exec"))) for text in texts}
    return f"METHODS = {methods}\nPATTERNS = {patterns}\n"


def freeze(name: str, text: str) -> bytes:
    """NAME stands for the path in tracebacks: that of the builder is nobody's business."""
    top = name.partition(".")[0]
    if top == "img_tools":  # its docstrings are what --help and --explain show
        return marshal.dumps(compile(text, f"<frozen {name}>", "exec", dont_inherit=True))
    return marshal.dumps(lean(compile(text, f"<frozen {name}>", "exec", dont_inherit=True,
                                      optimize=2)))


def lean(code: CodeType) -> CodeType:
    """CODE that knows of no lines, whose table is a tenth of it.

    Reports name lines of our code alone. An entry of the table is for up to 8 instructions, and
    says here that they are of no line; without entries the module traceback fails.
    """
    whole, rest = divmod(len(code.co_code) // 2, 8)
    table = b"\xff" * whole + bytes([0xF8 + rest - 1] if rest else [])
    return code.replace(co_linetable=table, co_consts=tuple(
        lean(value) if isinstance(value, CodeType) else value for value in code.co_consts))


def write_table(runtime: Path) -> None:
    """frozen.S, all code in one piece of read-only memory, and the tables that CPython reads.

    They replace those of libpython, which have a part of the standard library once more.
    """
    code, rows, place = bytearray(), [], 0
    for name, package, data in frozen(runtime):
        code += data
        rows.append(f'    {{"{BOOTSTRAP.get(name, name)}", frozen_code + {place}, {len(data)}, '
                    f"{int(package)}}},\n")
        place += len(data)
    aliases = "".join(f'    {{"{name}", "{module}"}},\n' for module, name in BOOTSTRAP.items())
    (runtime / "frozen.bin").write_bytes(code)
    (runtime / "frozen.S").write_text(
        '.section .rodata\n.global frozen_code\nfrozen_code:\n.incbin "frozen.bin"\n'
        '.section .note.GNU-stack,"",@progbits\n')
    (runtime / "frozen.c").write_text(
        "#define Py_BUILD_CORE 1\n#include <Python.h>\n#include <internal/pycore_import.h>\n"
        "extern const unsigned char frozen_code[];\n"
        "static const struct _frozen all[] = {\n" + "".join(rows) + "    {0}\n}, none[] = {{0}};\n"
        f"static const struct _module_alias aliases[] = {{\n{aliases}    {{0}}\n}};\n"
        "const struct _frozen *_PyImport_FrozenBootstrap = all, *_PyImport_FrozenStdlib = none,\n"
        "    *_PyImport_FrozenTest = none, *PyImport_FrozenModules = none;\n"
        "const struct _module_alias *_PyImport_FrozenAliases = aliases;\n")


def main() -> None:
    """Freeze and link, without symbols."""
    runtime, output = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    write_table(runtime)
    environment = os.environ | {"LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"}
    subprocess.run(
        [runtime / "cc", "-s", "-o", output, HERE / "launcher.c", HERE / "memcmp.c",
         "frozen.c", "frozen.S",
         *(runtime / "link").read_text().splitlines(), "-Wl,--build-id=none"],
        cwd=runtime, env=environment, check=True)


if __name__ == "__main__":
    main()
