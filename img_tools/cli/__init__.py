"""The commands: parse, call, render, exit code."""

import sys

sys.dont_write_bytecode = True  # before the rest is imported: a run leaves no trace (row S14)
