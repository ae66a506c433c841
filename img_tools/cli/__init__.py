"""The commands: parse, call, render, exit code."""

import os
import signal
import sys

sys.dont_write_bytecode = True  # before the rest is imported: a run leaves no trace (row S14)

# Ctrl-C during the imports ends the process without a traceback; then main.run() sees to signals.
if (os.path.basename(sys.argv[0]) in ("img-check", "img-clean")
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
