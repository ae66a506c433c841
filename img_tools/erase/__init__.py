"""Free space and swap, zeroed while the system runs: docs/erase.md."""

from img_tools.erase.look import Sample, sample
from img_tools.erase.targets import LeftOut, Storage, Target, find

__all__ = ["LeftOut", "Sample", "Storage", "Target", "find", "sample"]
