#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Linux takes the headers in: examples/linux-module, and a module of all headers, built without a warning by gcc (with sparse,
where it is) and by clang against a distribution's kernel headers; then the example is loaded and unloaded by that kernel on QEMU.

usage: module.py SOURCE_ROOT INIT CACHE       speaks TAP
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..", "..")
sys.path[:0] = [os.path.join(ROOT, "examples", "thinhv", "guest"), HERE]
import image

LIMIT = 600  # seconds, for what hangs
# What Linux has defined by the time a module's own headers come, its own VMX and SVM among it.
LINUX = ("linux/kernel.h", "linux/module.h", "linux/mm.h", "linux/slab.h", "linux/kvm_host.h", "asm/msr.h", "asm/vmx.h", "asm/svm.h")
KEEP = ("hvctl_vmx_switch", "hvctl_svm_switch", "hvctl_vmx_enable", "hvctl_svm_enable", "hvctl_vmx_host_capture",
        "hvctl_x86_cpu_ops", "hvctl_vmx_check", "hvctl_svm_check", "hvctl_vmx_solve", "hvpt_ept_init", "hvpt_npt_init",
        "hvpt_s2_init", "hvpt_gstage_init", "hvpt_space_map", "hvpt_space_unmap", "hvpt_space_protect", "hvpt_space_explain",
        "hvpt_space_collapse")
# What stands in the log, by the manual: 32 KiB at 0 take one table of each of four levels; the EPTP says WB and four levels.
SAID = (
    (r"EPTP 0x[0-9a-f]+[15]e, 4 frames of tables, every page translates to its memory", "what was built"),
    (r"guest-physical 0x0: allowed", "a page that may be written"),
    (r"guest-physical 0x3000: refused", "a page that may not"),
    (r"denied by level 0 \(PTE\), bit 1 = 0: no right to write", "and why"),
    (r"guest-physical 0x5000: refused", "a page that is not mapped"),
    (r"not mapped at level 0 \(PTE\), bits 2:0 = 0x0", "and why it is not"),
    (r"unloaded, 0 frames not given back", "every frame comes back"),
    (r"init: loaded and unloaded", "loaded and unloaded"),
)


class Skipped(Exception):
    pass


def build_folder():
    """(version, folder) of the newest kernel headers here."""
    found = [(os.path.basename(os.path.dirname(path)), path) for path in glob.glob("/lib/modules/*/build")
             if os.path.exists(os.path.join(path, "Makefile"))]
    found += [(os.path.basename(path)[len("linux-headers-"):], path) for path in glob.glob("/usr/src/linux-headers-*")
              if os.path.exists(os.path.join(path, "Module.symvers"))]
    if not found:
        raise Skipped("no kernel headers (Debian: linux-headers-amd64)")
    return max(found, key=lambda each: [int(part) for part in re.findall(r"\d+", each[0])])


def headers(root):
    include = os.path.join(root, "include")
    return sorted(os.path.relpath(os.path.join(folder, name), include)
                  for folder, _, names in os.walk(include) for name in names if name.endswith(".h"))


def make(root, headers_of_kernel, scratch, *more):
    """Builds the example and the module of everything; what was said that is a warning or an error, or None."""
    work = os.path.join(scratch, "module")
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(os.path.join(root, "examples/linux-module"), work)
    with open(os.path.join(work, "everything.c"), "w") as f:
        f.writelines("#include <%s>\n" % name for name in LINUX + tuple(headers(root)))
        f.write("extern void *everything_keep[];\nvoid *everything_keep[] = {%s};\n" % ", ".join(KEEP))
        f.write('MODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("all headers");\n')
    with open(os.path.join(work, "Kbuild"), "a") as f:
        f.write("obj-m += everything.o\n")
    done = subprocess.run(["make", "-C", work, "KERNEL=" + headers_of_kernel, "HVPT_INCLUDE=" + os.path.join(root, "include"),
                           "W=1", *more], capture_output=True, text=True, timeout=LIMIT)
    said = done.stdout + done.stderr
    complaints = re.findall(r"^.*(?:warning|WARNING|error|objtool):.*$", said, re.M)
    # The compiler of the kernel and the one here may differ in their last digit.
    complaints = [line for line in complaints if "compiler differs" not in line and "BTF" not in line]
    if done.returncode != 0 or complaints:
        return "\n".join(complaints or said.splitlines()[-20:])
    return None


def compiles(root, where, scratch, clang):
    if not clang:
        if not shutil.which("gcc"):
            raise Skipped("no gcc")
        # It takes a static table in an inline function, looked at again for its next caller, for one initialised twice.
        sparse = ["C=2", "CF=-Wno-override-init"] if shutil.which("sparse") else []
        return make(root, where, scratch, *sparse)
    for version in [""] + ["-%d" % number for number in range(30, 13, -1)]:
        if shutil.which("clang" + version) and shutil.which("ld.lld" + version) and shutil.which("llvm-nm" + version):
            return make(root, where, scratch, "LLVM=" + (version or "1"))
    raise Skipped("no clang with lld and llvm (Debian: clang-19 lld-19 llvm-19)")


def image_of(version, cache):
    """The kernel of exactly this version: installed, or fetched and unpacked."""
    installed = os.path.join("/boot", "vmlinuz-" + version)
    if os.access(installed, os.R_OK):
        return installed
    os.makedirs(cache, exist_ok=True)
    kept = os.path.join(cache, "vmlinuz-" + version)
    if not os.path.exists(kept) and not download("linux-image-" + version, kept):
        raise Skipped("no kernel %s to load the module: apt cannot download linux-image-%s" % (version, version))
    return kept


def download(package, kept):
    """Fetches the package and keeps its kernel; nothing is installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return False
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["apt-get", "-qq", "download", package], cwd=work, capture_output=True, timeout=LIMIT)
        for archive in glob.glob(os.path.join(work, "*.deb")):
            subprocess.run(["dpkg-deb", "-x", archive, os.path.join(work, "tree")], capture_output=True, timeout=LIMIT)
        found = glob.glob(os.path.join(work, "tree/boot/vmlinuz-*"))
        if found:
            shutil.copy(found[0], kept)
    return bool(found)


def loads(version, scratch, init, cache):
    """Loads and unloads the example on an emulated machine; the log."""
    if not shutil.which("qemu-system-x86_64"):
        raise Skipped("no qemu-system-x86_64 (Debian: qemu-system-x86)")
    linux = image_of(version, cache)
    with open(init, "rb") as i, open(os.path.join(scratch, "module", "hvpt_demo.ko"), "rb") as m:
        archive = image.cpio([("dev", 0o040755, (0, 0), b""), ("dev/console", 0o020600, (5, 1), b""),
                              ("init", 0o100755, (0, 0), i.read()), ("module.ko", 0o100644, (0, 0), m.read())])
    initrd = os.path.join(scratch, "initrd")
    with open(initrd, "wb") as f:
        f.write(archive)
    done = subprocess.run(["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-display", "none", "-no-reboot", "-nodefaults",
                           "-serial", "stdio", "-kernel", linux, "-initrd", initrd, "-append",
                           # A loaded computer's clock is nothing to complain about.
                           "console=ttyS0,115200 loglevel=7 panic=-1 mitigations=off cryptomgr.notests nowatchdog"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT)
    return done.stdout + done.stderr


def main(root, init, cache):
    root = os.path.abspath(root)
    cases = ["builds without a warning, clang", "builds without a warning, gcc%s" % (" and sparse" if shutil.which("sparse") else "")]
    cases += [what for _, what in SAID] + ["Linux has nothing to complain about"]
    print("TAP version 13\n1..%d" % len(cases), flush=True)
    failed = 0

    def tell(number, wrong, skipped=None):
        nonlocal failed
        failed += wrong is not None
        print("%s %d - examples/linux-module: %s%s" % ("not ok" if wrong is not None else "ok", number, cases[number - 1],
                                                       " # SKIP " + skipped if skipped else ""), flush=True)
        for line in (wrong or "").splitlines():
            print("# " + line)

    with tempfile.TemporaryDirectory() as scratch:
        try:
            version, where = build_folder()
        except Skipped as why:
            for number in range(1, len(cases) + 1):
                tell(number, None, str(why))
            return 0
        for number, clang in ((1, True), (2, False)):  # what gcc built, as the kernel, is what is loaded
            try:
                tell(number, compiles(root, where, scratch, clang))
            except Skipped as why:
                tell(number, None, str(why))
        try:
            log = loads(version, scratch, init, cache)
        except (Skipped, FileNotFoundError, subprocess.TimeoutExpired) as why:
            skipped = isinstance(why, Skipped)
            for number in range(3, len(cases) + 1):
                tell(number, None if skipped else str(why), str(why) if skipped else None)
            return 1 if failed else 0
        for number, (pattern, _) in enumerate(SAID, 3):
            tell(number, None if re.search(pattern, log) else "no line with %s\n%s" % (pattern, "\n".join(log.splitlines()[-30:])))
        bad = re.findall(r"^.*(?:BUG:|WARNING:|Oops|Call Trace|general protection).*$", log, re.M)
        tell(len(cases), "\n".join(bad) if bad else None)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
