# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The helpers for gdb, lldb and QEMU's monitor on a live machine: the RISC-V demo stops before its guest runs, and what each
helper says of its G-stage is held against the picture that the demo prints of itself. Arguments: hvpt, tools/live, kernel."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

hvpt, live, kernel = sys.argv[1], Path(sys.argv[2]).resolve(), sys.argv[3]
qemu, gdb, lldb = shutil.which("qemu-system-riscv64"), shutil.which("gdb-multiarch"), shutil.which("lldb")
if not qemu or not gdb or not Path(kernel).exists():
    print("1..0 # SKIP needs qemu-system-riscv64, gdb-multiarch and the RISC-V demo kernel")
    sys.exit(0)
folder = Path(tempfile.mkdtemp())
number = failed = 0


def ok(fine, name, detail=""):
    global number, failed
    number += 1
    failed += not fine
    print(("ok" if fine else "not ok"), number, "-", name)
    if not fine:
        print("\n".join("# " + line for line in str(detail).splitlines()[-40:]))


def runs(text):
    """The lines of pages, however a picture words their sizes and types."""
    return [(int(a, 16), int(b, 16), int(c, 16), int(n), size + unit, perm) for a, b, c, n, size, unit, perm in re.findall(
        r"([0-9a-f]{10})-([0-9a-f]{10}) -> ([0-9a-f]{10}) +(\d+) x (\d+) ?([KMG])(?:iB)? +([r-][w-][x-])", text)]


serial, monitor, stub = folder / "serial", folder / "qmp", folder / "stub"
machine = subprocess.Popen([qemu, "-accel", "tcg", "-M", "virt", "-m", "2048", "-smp", "2", "-cpu", "rv64,h=true,svpbmt=true,svnapot=true",
                            "-bios", "none", "-display", "none", "-nodefaults", "-serial", f"file:{serial}", "-monitor", "none", "-no-reboot",
                            "-kernel", kernel, "-qmp", f"unix:{monitor},server=on,wait=off", "-gdb", f"unix:{stub},server=on,wait=off", "-S"])
try:
    for _ in range(100):
        if stub.exists() and monitor.exists():
            break
        time.sleep(0.1)
    environment = {"HVPT": hvpt, "PATH": "/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb"}
    script = folder / "script"
    script.write_text(f"""set pagination off
target remote {stub}
source {live}/hvpt_gdb.py
hbreak vm_enter
continue
printf "hgatp %lx\\n", $hgatp
echo ---- map\\n
hvpt map gstage svpbmt
echo ---- walk\\n
hvpt walk gstage svpbmt gpa=0x201008 access=w
echo ---- absent\\n
hvpt walk gstage svpbmt gpa=0x300000
echo ---- linear\\n
set hvpt-linear-map 0x0
hvpt map gstage svpbmt root=$hgatp
echo ---- monitor\\n
python gdb.execute("shell {sys.executable} {live}/hvpt_qemu.py {monitor} map gstage svpbmt root=%#x" % (int(gdb.parse_and_eval("(unsigned long)$hgatp")) & (1 << 64) - 1))
echo ---- end\\n
python
import sys
sys.path.insert(0, "{live}")
import hvpt_qemu
qmp = hvpt_qemu.Monitor("{monitor}")
for kind, name in (("elf", "core"), ("kdump-zlib", "kdump")):
    try:
        qmp.execute("dump-guest-memory", paging=False, protocol="file:{folder}/" + name, format=kind)
    except hvpt_qemu.hvpt_live.Failed as why:
        print("no", name, why)
end
detach
""")
    said = subprocess.run([gdb, "-batch", "-x", script, kernel], capture_output=True, text=True, timeout=600, env=environment)
    parts = dict(re.findall(r"---- (\w+)\n(.*?)(?=---- )", said.stdout, re.S))
    for _ in range(300):
        if serial.exists() and "kernel ends" in serial.read_text(errors="replace"):
            break
        time.sleep(0.1)
    picture = serial.read_text(errors="replace")
    before = picture.split("A guest in VS-mode")[0]
    ok(len(runs(before)) >= 6 and runs(parts.get("map", "")) == runs(before), "gdb: the tables are those that the demo prints",
       said.stdout + said.stderr + before)
    ok("denied by level 0" in parts.get("walk", "") and "host-physical 0x84001008" in parts["walk"], "gdb: a walk to a read-only page", parts)
    ok("not mapped at level" in parts.get("absent", ""), "gdb: a walk to nowhere", parts)
    ok(runs(parts.get("monitor", "")) == runs(before), "QEMU's monitor: the same tables", parts.get("monitor"))
    root = re.search(r"hgatp ([0-9a-f]+)", said.stdout)[1]
    for name, title in (("core", "an ELF core of QEMU's dump-guest-memory"), ("kdump", "a compressed core of QEMU's dump-guest-memory")):
        title += ": the same tables"
        if not (folder / name).exists() or f"no {name} " in said.stdout:
            ok(True, f"{title} # SKIP this QEMU does not write it")
            continue
        dumped = subprocess.run([hvpt, "map", folder / name, "gstage", "svpbmt", f"root=0x{root}"], capture_output=True, text=True)
        if "without libkdumpfile" in dumped.stderr:
            ok(True, f"{title} # SKIP built without libkdumpfile")
            continue
        ok(dumped.returncode == 0 and runs(dumped.stdout) == runs(before), title, dumped.stdout + dumped.stderr)
finally:
    machine.kill()
    machine.wait()

# Debian's lldb looks for its Python part in a folder that is not there.
modules = sorted(path for path in Path("/usr/lib").glob("llvm-*/lib/python3*/*-packages")
                 if (path / "lldb" / "embedded_interpreter.py").exists()) if lldb else []
environment["PYTHONPATH"] = ":".join(map(str, modules))
if lldb and not modules:
    ok(True, "lldb: the same tables # SKIP lldb has no Python here")
elif lldb:
    serial, stub = folder / "serial2", 17175
    machine = subprocess.Popen([qemu, "-accel", "tcg", "-M", "virt", "-m", "2048", "-smp", "2", "-cpu", "rv64,h=true,svpbmt=true,svnapot=true",
                                "-bios", "none", "-display", "none", "-nodefaults", "-serial", f"file:{serial}", "-monitor", "none", "-no-reboot",
                                "-kernel", kernel, "-gdb", f"tcp:127.0.0.1:{stub}", "-S"])
    try:
        time.sleep(1)
        register = re.search(r"hgatp ([0-9a-f]+)", said.stdout)
        words = ["-o", f"gdb-remote 127.0.0.1:{stub}", "-o", f"command script import {live}/hvpt_lldb.py", "-o", "breakpoint set -H -n vm_enter",
                 "-o", "continue", "-o", f"hvpt map gstage svpbmt root=0x{register[1] if register else '0'}", "-o", "process detach", "-o", "quit"]
        said = subprocess.run([lldb, "--no-lldbinit", *words, kernel], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, env=environment)
        ok(runs(said.stdout) == runs(before), "lldb: the same tables", said.stdout + said.stderr)
    except subprocess.TimeoutExpired as late:
        ok(False, "lldb: the same tables", late.stdout)
    finally:
        machine.kill()
        machine.wait()
else:
    ok(True, "lldb: the same tables # SKIP lldb is not installed")

shutil.rmtree(folder, ignore_errors=True)
print(f"1..{number}")
sys.exit(1 if failed else 0)
