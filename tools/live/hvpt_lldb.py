# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""hvpt in lldb, as hvpt_gdb.py is in gdb:

    (lldb) command script import /usr/share/hvpt/hvpt_lldb.py
    (lldb) hvpt walk gstage gpa=0x80000000

QEMU's gdbstub reads physical memory by itself; for other stubs set HVPT_LINEAR_MAP to where the kernel sees all memory.
"""

import os
import shlex
import sys

import lldb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hvpt_live


def packet(debugger, text):
    result = lldb.SBCommandReturnObject()
    debugger.GetCommandInterpreter().HandleCommand(f"process plugin packet send {text}", result)
    return "OK" in (result.GetOutput() or "")


def hvpt(debugger, command, result, internal_dict):
    target = debugger.GetSelectedTarget()
    process = target.GetProcess()
    offset = int(os.environ.get("HVPT_LINEAR_MAP", "0"), 0)

    def read(address, size):
        error = lldb.SBError()
        contents = process.ReadMemory(address + offset & (1 << 64) - 1, size, error)
        return contents if error.Success() else None

    def register(name):
        frame = process.GetSelectedThread().GetFrameAtIndex(0)
        for spelled in (name, name.lower()):
            value = frame.FindRegister(spelled)
            if value.IsValid():
                return value.GetValueAsUnsigned()
        return None

    try:
        if not process.IsValid():
            raise hvpt_live.Failed("no process: gdb-remote localhost:1234 first")
        if not offset and not packet(debugger, "Qqemu.PhyMemMode:1"):
            raise hvpt_live.Failed("this stub does not read physical memory: set HVPT_LINEAR_MAP")
        try:
            _, output = hvpt_live.run(shlex.split(command), read, register)
        finally:
            if not offset:
                packet(debugger, "Qqemu.PhyMemMode:0")
        result.AppendMessage(output.rstrip())
    except hvpt_live.Failed as why:
        result.SetError(str(why))


def __lldb_init_module(debugger, internal_dict):
    debugger.HandleCommand(f"command script add -f {__name__}.hvpt hvpt")
