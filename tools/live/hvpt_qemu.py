#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The second level that QEMU's "info tlb" and "info mem" have not got: asks a running QEMU for a guest's tables by its
monitor (QMP).

    qemu-system-riscv64 ... -qmp unix:qmp,server=on,wait=off
    hvpt-qemu qmp map gstage
    hvpt-qemu qmp walk ept root=0x10501e gpa=0x5000

The machine is stopped while its tables are read, unless it was already. Exit status: hvpt's.
"""

import json
import re
import socket
import sys
import os

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.path.append("@live@")
import hvpt_live


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        if "QMP" not in json.loads(self.lines.readline()):
            raise hvpt_live.Failed(f"{path} is no QMP socket: -qmp unix:{path},server=on,wait=off")
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        for line in self.lines:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise hvpt_live.Failed(answer["error"]["desc"])
        raise hvpt_live.Failed("QEMU closed the monitor")

    def human(self, line):
        return self.execute("human-monitor-command", **{"command-line": line})

    def read(self, address, size):
        """xp prints "ADDRESS: 0x... 0x...", two words a line; of memory that is not there it prints a complaint."""
        words = []
        for line in self.human(f"xp /{size // 8}gx {address:#x}").splitlines():
            where, _, rest = line.partition(":")
            if not re.fullmatch(r"[0-9a-f]+", where.strip()):
                return None
            words += [int(word, 16) for word in rest.split()]
        if len(words) != size // 8:
            return None
        return b"".join(word.to_bytes(8, "little") for word in words)

    def register(self, name):
        found = re.search(rf"\b{name}\s*=?\s*(?:0x)?([0-9a-f]+)", self.human("info registers"), re.IGNORECASE)
        return int(found[1], 16) if found else None


def main():
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 and sys.argv[1] in ("-h", "--help") else 2
    try:
        monitor = Monitor(sys.argv[1])
        running = monitor.execute("query-status")["running"]
        if running:
            monitor.execute("stop")
        try:
            status, output = hvpt_live.run(sys.argv[2:], monitor.read, monitor.register)
        finally:
            if running:
                monitor.execute("cont")
    except (hvpt_live.Failed, OSError, ValueError) as why:
        print(f"hvpt-qemu: {why}", file=sys.stderr)
        return 2
    sys.stdout.write(output)
    return status


if __name__ == "__main__":
    sys.exit(main())
