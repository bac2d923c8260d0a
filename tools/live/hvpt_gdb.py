# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""hvpt in gdb: explains a guest's address on a live kernel under QEMU's gdbstub or kgdb.

    (gdb) source /usr/share/hvpt/hvpt_gdb.py
    (gdb) hvpt walk gstage gpa=0x80000000
    (gdb) hvpt map ept root=0x10501e

QEMU's gdbstub reads physical memory by itself. For kgdb, or any other stub, say where the kernel sees all memory:
    (gdb) set hvpt-linear-map 0xffff888000000000
"""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hvpt_live


class LinearMap(gdb.Parameter):
    """Where the kernel that is debugged sees physical address 0; 0: ask QEMU's gdbstub for physical memory."""

    set_doc = show_doc = __doc__

    def __init__(self):
        # an expression, since a plain number would be cut to 32 bits
        super().__init__("hvpt-linear-map", gdb.COMMAND_DATA, gdb.PARAM_STRING)
        self.value = "0"

    def get_set_string(self):
        return ""


class Hvpt(gdb.Command):
    __doc__ = hvpt_live.HELP

    def __init__(self):
        super().__init__("hvpt", gdb.COMMAND_DATA)
        self.linear_map = LinearMap()

    def invoke(self, argument, from_tty):
        inferior = gdb.selected_inferior()
        offset = int(gdb.parse_and_eval(self.linear_map.value or "0")) & (1 << 64) - 1

        def read(address, size):
            return inferior.read_memory(address + offset & (1 << 64) - 1, size).tobytes()

        def register(name):
            for spelled in (name, name.lower()):
                try:
                    return int(gdb.parse_and_eval(f"(unsigned long)${spelled}")) & (1 << 64) - 1
                except gdb.error:
                    continue
            return None

        words = gdb.string_to_argv(argument)
        try:
            if offset:
                _, output = hvpt_live.run(words, read, register)
            else:
                answer = gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
                if 'received: "OK"' not in answer:
                    raise hvpt_live.Failed("this stub does not read physical memory: set hvpt-linear-map")
                gdb.execute("maintenance flush dcache", to_string=True)
                try:
                    _, output = hvpt_live.run(words, read, register)
                finally:
                    gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)
                    gdb.execute("maintenance flush dcache", to_string=True)
        except hvpt_live.Failed as why:
            raise gdb.GdbError(str(why))
        gdb.write(output)


Hvpt()
