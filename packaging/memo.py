"""What importing the program computes from text: methods of dataclasses, regular expressions.

    RUNTIME/python -I -S -B memo.py LIB ROOT MODULE...

That is most of the time that starting takes, and comes out the same each time: link.py freezes it
into the program as the module _memo, and appends REUSE to the two modules that compute it. A text
that is not known, as in a plugin, is computed as ever. Prints the texts of methods, and
{(pattern, flags): arguments of _sre.compile}.
"""

import re
import sys
import types
from importlib import import_module

REUSE = {
    "re._compiler": """

def compile(p, flags=0, _compile=compile):
    from _memo import PATTERNS
    if isstring(p) and (p, flags) in PATTERNS:
        found, code, *rest = PATTERNS[p, flags]
        return _sre.compile(p, found, memoryview(code).cast("I").tolist(), *rest)
    return _compile(p, flags)
""",
    "dataclasses": """

def exec(text, *namespaces, _exec=exec):
    from _memo import METHODS
    from _sha2 import sha256
    from marshal import loads
    known = METHODS.get(sha256(text.encode()).digest())
    _exec(loads(known) if known else text, *namespaces)
""",
}


def watch_patterns() -> dict[tuple[str | bytes, int], tuple[object, ...]]:
    """What is compiled from now on, in a dictionary that fills."""
    compiler, sre, found, last = re._compiler, re._compiler._sre, {}, []

    def keep(pattern, flags, code, *rest):
        last[:] = flags, b"".join(n.to_bytes(4, sys.byteorder) for n in code), *rest
        return sre.compile(pattern, flags, code, *rest)

    def spy(pattern, flags=0, compute=compiler.compile):
        compiled = compute(pattern, flags)
        if isinstance(pattern, str | bytes):
            found[pattern, int(flags)] = tuple(last)
        return compiled

    compiler._sre = types.SimpleNamespace(**vars(sre) | {"compile": keep})
    compiler.compile = spy
    return found


def watch_methods() -> set[str]:
    """The texts that dataclasses compile from now on, in a set that fills."""
    import dataclasses

    found = set()

    def spy(text, *namespaces):
        found.add(text)
        exec(text, *namespaces)  # noqa: S102 - as it would itself

    dataclasses.exec = spy
    return found


def main() -> None:
    """Import all and print what that took."""
    library, root, *names = sys.argv[1:]
    sys.path[:0] = library, root
    patterns, methods = watch_patterns(), watch_methods()
    sys.modules["psutil"] = types.ModuleType("psutil")  # its extension is linked in later
    import_module("img_tools").__path__.append(root)  # where checks/ and cleaners/ are
    for name in names:
        import_module(name)
    print((sorted(methods), patterns))


if __name__ == "__main__":
    main()
