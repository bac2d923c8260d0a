"""Where an emulator differs from the architecture's manual: the manual wins, and the check is expected to fail here.

One record a deviation: the emulator, its versions, the check by its name in the kernel's output, what the emulator gives
instead ("" for any), and the manual's section that says otherwise. A failure that is not in this table is a failure.
"""
import fnmatch
from collections import namedtuple

Deviation = namedtuple("Deviation", "emulator versions check got manual")

DEVIATIONS = [
]


def find(emulator, version, check, got):
    """The record that excuses this failure, or None."""
    for d in DEVIATIONS:
        if d.emulator == emulator and version in d.versions and fnmatch.fnmatchcase(check, d.check) and d.got in ("", got):
            return d
    return None


class Versions:
    """All versions from first up to, and without, fixed; either may be None."""

    def __init__(self, first=None, fixed=None):
        self.first, self.fixed = first, fixed

    def __contains__(self, version):
        return (self.first is None or version >= self.first) and (self.fixed is None or version < self.fixed)


ALL = Versions()
