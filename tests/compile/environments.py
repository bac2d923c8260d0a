#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# What surrounds the headers where people use them: a kernel with no <stdint.h> but its own, and the macros that Linux,
# Windows, EDK2 and small kernels have defined before the first include. All headers, in one unit, every function emitted.
# usage: environments.py SOURCE_ROOT
import subprocess
import sys
import tempfile
from pathlib import Path

import compilers
import tap

# What hvpt/std.h asks of a kernel's own header, with the offsetof that every small kernel has written once.
KERNEL_TYPES = """#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t, uintptr_t, size_t;
#ifndef __cplusplus
#if __STDC_VERSION__ < 202000
#define bool _Bool
#define true 1
#define false 0
#endif
#endif
#ifdef __cplusplus
#define NULL nullptr
#else
#define NULL ((void *)0)
#endif
#define offsetof(type, member) ((size_t)&((type *)0)->member)
#define UINT32_MAX 0xffffffffU
#define UINT64_MAX 0xffffffffffffffffUL
#define UINTPTR_MAX UINT64_MAX
#define UINT32_C(x) x##U
#define UINT64_C(x) x##UL
#endif
"""

# Which of FreeBSD's kernel headers brings what: its kernel is built with -nostdinc, and sys/ has no <stdint.h>.
FREEBSD = {
    "types.h": "#include <sys/cdefs.h>\n" + "\n".join([
        *[f"typedef {kind} {name}_t;" for kind, name in (
            ("signed char", "int8"), ("short", "int16"), ("int", "int32"), ("long", "int64"), ("unsigned char", "uint8"),
            ("unsigned short", "uint16"), ("unsigned int", "uint32"), ("unsigned long", "uint64"), ("unsigned long", "size"),
            ("unsigned long", "uintptr"))],
        "#ifndef __cplusplus\ntypedef _Bool bool;\n#define true 1\n#define false 0\n#endif", ""]),
    "_null.h": "#ifndef NULL\n#ifdef __cplusplus\n#define NULL __null\n#else\n#define NULL ((void *)0)\n#endif\n#endif\n",
    "stdint.h": "#define UINT32_C(c) (c ## U)\n#define UINT64_C(c) (c ## UL)\n#define UINT32_MAX 0xffffffffU\n"
                "#define UINT64_MAX 0xffffffffffffffff\n#define UINTPTR_MAX UINT64_MAX\n",
    "cdefs.h": "#define __packed __attribute__((__packed__))\n#define __unused __attribute__((__unused__))\n"
               "#define __weak_symbol __attribute__((__weak__))\n#define __predict_true(exp) __builtin_expect((exp), 1)\n",
}

MACROS = {
    "Linux": "\n".join([
        *[f"#define {word} __attribute__((__{word}__))" for word in ("noinline", "cold")],
        "#define __always_inline inline __attribute__((__always_inline__))",
        "#define current get_current()",
        "#define offsetof(type, member) __builtin_offsetof(type, member)",
        "#define min(a, b) min_is_taken(a, b)",
        "#define max(a, b) max_is_taken(a, b)",
        "#define rdmsr(msr, low, high) do { } while (0)",
        "#define wrmsr(msr, low, high) do { } while (0)",
        *[f"#define {word}(...) {word}_is_taken" for word in (
            "cpuid", "rdmsrl", "wrmsrl", "read_cr0", "write_cr0", "read_cr3", "read_cr4", "write_cr4", "invept", "invvpid", "vmread",
            "vmwrite", "vmxon", "vmxoff", "vmclear", "vmptrld", "stgi", "clgi", "vmload", "vmsave", "invlpga", "alloc_frame",
            "free_frame", "phys_to_virt", "flush", "put", "barrier", "swap", "clamp", "abs", "get", "set")],
    ]),
    "Windows and EDK2": "\n".join([
        *[f"#define {word}" for word in ("far", "near", "FAR", "NEAR", "IN", "OUT", "OPTIONAL", "CONST", "EFIAPI", "STATIC")],
        "#define small char", "#define interface struct", "#define VOID void", "#define TRUE 1", "#define FALSE 0",
        "#define ERROR 0", "#define DELETE 0x10000", "#define NO_ERROR 0", "#define pascal __stdcall",
        "#define min(a, b) (((a) < (b)) ? (a) : (b))", "#define max(a, b) (((a) > (b)) ? (a) : (b))",
        "#define GetMessage GetMessageW", "#define ASSERT(x) do { } while (0)", "#define BIT0 1", "#define MAX_PATH 260",
        "#define unix 1", "#define linux 1",
    ]),
}


def program(names, before=""):
    return before + "\n" + "".join(f"#include <{name}>\n" for name in names) + "int unit(void);\nint unit(void) { return 0; }\n"


def argv_of(family, target, standard, *more):
    argv = compilers.command(family, target, standard)
    # Types and macros are the front end's matter; and what is not optimized is not dropped either.
    keep = "-femit-all-decls" if family == "clang" else "-fkeep-inline-functions"
    return argv if isinstance(argv, tap.Skip) else [*argv, "-O0", keep, "-c", "-o", "/dev/null", *more]


def own_types(include, argv, names):
    if isinstance(argv, tap.Skip):
        return argv
    with tempfile.TemporaryDirectory() as kernel:
        (Path(kernel) / "types.h").write_text(KERNEL_TYPES)
        # A kernel's own headers come before the project's, as its build has them; nothing of the compiler's is in reach.
        return compilers.compile_text([*argv, "-nostdinc", "-I", kernel, "-DHVPT_STD_HEADER=<types.h>", "-Wno-error=pedantic"],
                                      include, program(names, "#include <types.h>"))


def freebsd(include, names, standard):
    target = compilers.Target("FreeBSD", None, ("--target=x86_64-unknown-freebsd14",), ("c11",), tuple(compilers.KERNEL), cpu=True)
    argv = argv_of("clang", target, standard)
    if isinstance(argv, tap.Skip):
        return argv
    with tempfile.TemporaryDirectory() as kernel:
        (Path(kernel) / "sys").mkdir()
        for name, text in FREEBSD.items():
            (Path(kernel) / "sys" / name).write_text(f"#pragma once\n{text}")
        return compilers.compile_text([*argv, "-nostdinc", "-I", kernel, "-D_KERNEL"], include,
                                      program(names, "#include <sys/types.h>\n#include <sys/cdefs.h>"))


def surrounded(include, argv, names, macros):
    if isinstance(argv, tap.Skip):
        return argv
    # The environment's types come first, as they do where its macros come from.
    text = "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n#undef offsetof\n" + macros
    return compilers.compile_text([*argv, "-Wno-unused-macros"], include, program(names, text))


def i386_kernel(include):
    """clang makes 8-byte accesses by itself on an i386 whose kernel touches neither SSE nor x87."""
    target = next(target for target in compilers.TARGETS if target.name == "i386")
    argv = compilers.command("clang", target, "c11")
    if isinstance(argv, tap.Skip):
        return argv
    with tempfile.TemporaryDirectory() as scratch:
        unit = str(Path(scratch) / "unit.o")
        names = [name for name in compilers.headers(include, target) if name.startswith("hvpt/")]
        wrong = compilers.compile_text([*argv, "-O1", "-mgeneral-regs-only", "-fno-pic", compilers.EMIT_ALL["clang"],
                                        "-c", "-o", unit],
                                       include, program(names))
        if wrong:
            return wrong
        named = subprocess.run(["nm", "-u", unit], capture_output=True, text=True, check=True).stdout.split()[1::2]
        libcalls = [name for name in named if name.startswith("__atomic")]
        return f"calls {' '.join(libcalls)}" if libcalls else None


def linked_coff(include, target):
    """The COFF objects hold what they need: linked into an EFI application without a library."""
    argv = compilers.command("clang", target, "c11")
    if isinstance(argv, tap.Skip):
        return argv
    linker = next((name for name in [f"lld-link-{version}" for version in range(30, 13, -1)] + ["lld-link"]
                   if subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True).returncode == 0), None)
    if linker is None:
        return tap.Skip("no lld-link (Debian: lld)")
    names = compilers.headers(include, target)
    needed = "".join(f"void *{name}(void *to, {argument}, unsigned long long size);\nvoid *{name}(void *to, {argument}, "
                     f"unsigned long long size) {{ (void)with; (void)size; return to; }}\n"
                     for name, argument in (("memcpy", "const void *with"), ("memset", "int with"), ("memmove", "const void *with")))
    needed += "int _fltused;\nextern int efi_main(void);\nint efi_main(void) { return unit(); }\n"
    with tempfile.TemporaryDirectory() as scratch:
        unit = str(Path(scratch) / "unit.obj")
        wrong = compilers.compile_text([*argv, "-O1", compilers.EMIT_ALL["clang"], "-fno-builtin", "-Wno-error", "-c", "-o", unit],
                                       include, program(names) + needed)
        if wrong:
            return wrong
        done = subprocess.run([linker, "/subsystem:efi_application", "/entry:efi_main", "/nodefaultlib",
                               f"/out:{scratch}/unit.efi", unit], capture_output=True, text=True)
        return None if done.returncode == 0 else done.stdout + done.stderr


def main(root):
    include = Path(root) / "include"
    native = compilers.TARGETS[0]
    windows = [target for target in compilers.TARGETS if target.name in ("windows", "UEFI")]
    cases = []
    for family in ("gcc", "clang"):
        for standard in ("c11", "c++17"):
            label = f"{family} {standard}"
            names = compilers.headers(include, native)
            argv = argv_of(family, native, standard)
            cases.append((f"a kernel's own types, no header of the compiler's, {label}",
                          lambda argv=argv, names=names: own_types(include, argv, names)))
            for system, macros in MACROS.items():
                cases.append((f"the macros of {system}, {label}",
                              lambda argv=argv, names=names, macros=macros: surrounded(include, argv, names, macros)))
    for standard in ("c11", "c17"):
        cases.append((f"FreeBSD's kernel headers, clang {standard}",
                      lambda standard=standard: freebsd(include, compilers.headers(include, native), standard)))
    for target in windows:
        argv, names = argv_of("clang", target, "c11"), compilers.headers(include, target)
        cases.append((f"the macros of Windows and EDK2, clang {target.name}",
                      lambda argv=argv, names=names: surrounded(include, argv, names, MACROS["Windows and EDK2"])))
        cases.append((f"an EFI application links, clang {target.name}", lambda target=target: linked_coff(include, target)))
    cases.append(("no call for 8-byte accesses, clang i386 kernel", lambda: i386_kernel(include)))
    return tap.run(cases)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
