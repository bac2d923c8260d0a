# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Which copies of a function compile to what the function itself compiles to: a fault of these is none.

Reads gcc's assembly of a unit in which each function with faults has a copy without one, number 0. Names of labels are
numbered anew, and data stands for its name.
"""
import re

FLAGS = ["-S", "-O2", "-fkeep-static-functions", "-fkeep-inline-functions", "-fno-ipa-icf",
         "-fno-reorder-blocks-and-partition", "-fno-asynchronous-unwind-tables"]
COPY = re.compile(r"(\w+)_fault_(\d+)$")
NOISE = re.compile(r"\s*\.(?:align|p2align|type|size|globl|local|file|loc|section|text|ident)\b")


def blocks(assembly):
    """Every label that is no place within a function, with the lines up to the next."""
    found, lines = {}, []
    for line in assembly.splitlines():
        label = re.match(r"(\.LC\d+|[A-Za-z_][\w.]*):", line)
        if label:
            lines = found.setdefault(label.group(1), [])
        elif not NOISE.match(line):
            lines.append(line)
    return found


def normal(name, found):
    """The code at that label in a form that does not depend on names."""
    numbers = {}

    def label(match):
        word = match.group()
        if word == name:
            return "itself"
        if re.match(r"\.L\d", word):
            return "label %d" % numbers.setdefault(word, len(numbers))
        if word in found and (word.startswith(".LC") or "." in word):
            return "{%s}" % "|".join(found[word])
        return word
    return [re.sub(r"(?<![\w.])[.A-Za-z_][\w.]*", label, line) for line in found[name]]


def same(assembly):
    """The numbers of the faults that change nothing."""
    found = blocks(assembly)
    numbers = set()
    for name in found:
        copy = COPY.match(name)
        if copy and copy.group(2) != "0" and copy.group(1) + "_fault_0" in found:
            if normal(name, found) == normal(copy.group(1) + "_fault_0", found):
                numbers.add(int(copy.group(2)))
    return numbers
