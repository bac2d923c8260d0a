# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Runs hvpt over the memory of a machine that a debugger or QEMU's monitor holds: hvpt asks for frames, the caller's function
reads them. What the helpers for gdb, lldb and the monitor share."""

import os
import shutil
import subprocess
import threading

HELP = """hvpt walk FORMAT [root=NUMBER] gpa=NUMBER|gva=NUMBER ...   explain an address
hvpt map FORMAT [root=NUMBER] ...                        print the tables
FORMAT: ept, npt, stage2 or gstage. root= may be left out where the machine tells its registers (stage2, gstage);
"hvpt map --help" and "hvpt walk --help" list the other words."""


class Failed(Exception):
    """Why it could not be done."""


def find_hvpt():
    found = os.environ.get("HVPT") or shutil.which("hvpt")
    if not found:
        raise Failed("hvpt is not in the path; set HVPT to where it is")
    return found


def serve(ask, answer, read):
    """Answer each "ADDRESS SIZE" line with the bytes that read gives, or with nothing."""
    with os.fdopen(ask, "r") as lines, os.fdopen(answer, "wb", buffering=0) as out:
        for line in lines:
            address, size = map(int, line.split())
            try:
                contents = read(address, size)
            except Exception:  # whatever the debugger says: this memory is not to be had
                contents = None
            try:
                out.write(b"\1" + bytes(contents) if contents is not None and len(contents) == size else b"\0")
            except BrokenPipeError:
                return


def run(words, read, register=None):
    """hvpt with these words, where IMAGE is left out. read(address, size): physical memory. register(name): its value, or
    None. Returns exit status and output."""
    words = list(words)
    if not words or words[0] not in ("walk", "map"):
        raise Failed(HELP)
    options = 1
    while options < len(words) and words[options].startswith("--"):
        options += 1
    words = words[:options] + complete(words[options:], register or (lambda name: None))
    ask_out, ask_in = os.pipe()
    answer_out, answer_in = os.pipe()
    process = subprocess.Popen([find_hvpt(), *words[:options], f"live:{ask_in},{answer_out}", *words[options:]],
                               pass_fds=(ask_in, answer_out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.close(ask_in)
    os.close(answer_out)
    # A debugger may be asked by its own thread alone: that is this one, and the output is gathered by another.
    output = []
    gather = threading.Thread(target=lambda: output.append(process.stdout.read()))
    gather.start()
    serve(ask_out, answer_in, read)
    gather.join()
    return process.wait(), output[0]


def complete(words, register):
    """The root and what goes with it from the machine's registers, where they are not among the words."""
    names = {word.split("=")[0] for word in words}
    if not words or names & {"root", "eptp", "ncr3", "vttbr", "hgatp"}:
        return words
    more = []
    if words[0] in ("gstage", "riscv"):
        more = [("root", "hgatp")] + ([("vsatp", "vsatp")] if "gva" in names and "vsatp" not in names else [])
    elif words[0] in ("stage2", "s2", "arm"):
        more = [("root", "VTTBR_EL2"), ("vtcr", "VTCR_EL2")]
        if "gva" in names:
            more += [(name, real) for name, real in (("tcr", "TCR_EL1"), ("ttbr0", "TTBR0_EL1"), ("ttbr1", "TTBR1_EL1"),
                                                     ("sctlr", "SCTLR_EL1"), ("hcr", "HCR_EL2")) if name not in names]
    added = []
    for name, real in more:
        value = register(real)
        if value is None:
            raise Failed(f"{name}= is wanted: the machine does not tell {real}")
        if name == "root" and not value:
            raise Failed(f"{real} is 0: this processor has no second level now")
        added.append(f"{name}={value:#x}")
    if not more:
        raise Failed("root= is wanted: the EPTP of the VMCS, or the nCR3 of the VMCB")
    return [words[0], *added, *words[1:]]
