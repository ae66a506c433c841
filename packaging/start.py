"""What the program does first: it is img-check or img-clean by its name or first argument."""

import gc

gc.disable()  # nothing of what is imported now is garbage

import importlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from _thread import allocate_lock  # noqa: E402

sys.frozen = True  # what PyInstaller and others call it, too


class Later(type(sys)):
    """psutil once something of it is asked for: half of the checks never look at the system.

    importlib's LazyLoader would load it at the first import statement, which asks for __spec__.
    """

    _turn = allocate_lock()

    def __getattr__(self, name):
        with self._turn:
            if sys.modules["psutil"] is self:
                del sys.modules["psutil"]
            real = importlib.import_module("psutil")
        return getattr(real, name)


sys.modules["psutil"] = Later("psutil")

COMMANDS = ("img-check", "img-clean")
name = os.path.basename(sys.argv[0]) if sys.argv else ""
if name not in COMMANDS:
    if sys.argv[1:2] == ["licences"]:
        from licences import TEXT

        os.write(1, TEXT)
        os._exit(0)
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        os.write(2, f"usage: {name} {{img-check|img-clean}} [OPTION]...\n"
                    f"       {name} licences\n"
                    "A link to it that is named img-check or img-clean is that command.\n".encode())
        os._exit(2)
    name = sys.argv.pop(1)
sys.argv[0] = name

if name == "img-check":
    from img_tools.cli.check import main
else:
    from img_tools.cli.clean import main

gc.freeze()
gc.set_threshold(100_000)  # the plugins are still to be imported
gc.enable()
main()
