# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""EPT from Python, by cffi: maps 3 MiB, translates, and has a refused write explained.

usage: python3 ept.py        builds _hvpt beside itself the first time; INCLUDE names the folder of the headers.
"""
import os
import sys
from pathlib import Path

import cffi

INCLUDE = Path(os.environ.get("INCLUDE") or Path(__file__).resolve().parents[3] / "include")
FOLDER = Path(os.environ.get("OUT") or Path(__file__).resolve().parent)

# What the program uses, as the headers declare it; the compiler completes sizes and numbers ("...").
DECLARATIONS = """
typedef struct { uint64_t value; } hvpt_gpa;
typedef struct { uint64_t value; } hvpt_hpa;
enum { HVPT_READ, HVPT_WRITE, HVPT_EXEC, ... };
enum hvpt_memtype { HVPT_MEM_UC, HVPT_MEM_WB, ... };
enum hvpt_status { HVPT_OK, ... };
struct hvpt_attr { uint32_t perm; enum hvpt_memtype memtype; ...; };
struct hvpt_mapping { hvpt_hpa hpa; struct hvpt_attr attr; uint64_t page_size; unsigned level; uint64_t entry; };
struct hvpt_flush { ...; };
struct hvpt_space { ...; };
struct hvpt_text { void (*put)(void *ctx, const char *bytes, size_t length); void *ctx; };
struct hvpt_hooks {
    bool (*alloc_frame)(void *ctx, unsigned order, hvpt_hpa *out);
    void (*free_frame)(void *ctx, hvpt_hpa frame, unsigned order);
    void *linear_map;
    ...;
};
struct hvpt_ept_config { unsigned maxphyaddr; ...; };
const char *hvpt_status_text(enum hvpt_status);
enum hvpt_status hvpt_ept_init(struct hvpt_space *, const struct hvpt_hooks *, const struct hvpt_ept_config *);
uint64_t hvpt_space_root(const struct hvpt_space *);
enum hvpt_status hvpt_space_map(struct hvpt_space *, hvpt_gpa, hvpt_hpa, uint64_t size, struct hvpt_attr, struct hvpt_flush *);
enum hvpt_status hvpt_space_protect(struct hvpt_space *, hvpt_gpa, uint64_t size, struct hvpt_attr, uint32_t mask, struct hvpt_flush *);
enum hvpt_status hvpt_space_translate(const struct hvpt_space *, hvpt_gpa, struct hvpt_mapping *);
enum hvpt_status hvpt_space_explain(const struct hvpt_space *, hvpt_gpa, uint32_t access, const struct hvpt_text *);
void hvpt_space_flush(struct hvpt_space *, struct hvpt_flush *);
void hvpt_space_destroy(struct hvpt_space *);
"""


def build():
    builder = cffi.FFI()
    builder.cdef(DECLARATIONS)
    builder.set_source("_hvpt", "#include <hvpt/space.h>\n", sources=[str(INCLUDE / "hvpt/unit.c")], include_dirs=[str(INCLUDE)],
                       define_macros=[("HVPT_EXTERN", None)])
    builder.compile(tmpdir=str(FOLDER))


sys.path.insert(0, str(FOLDER))
try:
    import _hvpt
except ImportError:
    build()
    import _hvpt
ffi, lib = _hvpt.ffi, _hvpt.lib

# Host memory as this program plays it: "physical" address 0 is the first byte. Tables are taken from the start.
memory = ffi.new("char[]", (1 << 20) + 4096)
linear_map = int(ffi.cast("uintptr_t", memory)) + 4095 & ~4095
next_frame = 4096


@ffi.callback("bool(void *, unsigned, hvpt_hpa *)")
def alloc_frame(ctx, order, out):
    global next_frame
    out.value, next_frame = next_frame, next_frame + (4096 << order)
    return next_frame <= 1 << 20


@ffi.callback("void(void *, hvpt_hpa, unsigned)")
def free_frame(ctx, frame, order):
    pass


def check(status):
    if status != lib.HVPT_OK:
        raise SystemExit(ffi.string(lib.hvpt_status_text(status)).decode())


def gpa(value):
    return ffi.new("hvpt_gpa *", {"value": value})[0]


hooks = ffi.new("struct hvpt_hooks *", {"alloc_frame": alloc_frame, "free_frame": free_frame,
                                        "linear_map": ffi.cast("void *", linear_map)})
space, flush = ffi.new("struct hvpt_space *"), ffi.new("struct hvpt_flush *")
check(lib.hvpt_ept_init(space, hooks, ffi.new("struct hvpt_ept_config *", {"maxphyaddr": 46})))
ram = ffi.new("struct hvpt_attr *", {"perm": lib.HVPT_READ | lib.HVPT_WRITE | lib.HVPT_EXEC, "memtype": lib.HVPT_MEM_WB})
nothing = ffi.new("struct hvpt_attr *")
check(lib.hvpt_space_map(space, gpa(0), ffi.new("hvpt_hpa *", {"value": 0x200000})[0], 0x300000, ram[0], flush))
check(lib.hvpt_space_protect(space, gpa(0x2FF000), 4096, nothing[0], lib.HVPT_WRITE, flush))
lib.hvpt_space_flush(space, flush)

print(f"EPTP bits 11:0 {lib.hvpt_space_root(space) & 0xfff:x}")
for address in (0x1000, 0x2FF000):
    mapping = ffi.new("struct hvpt_mapping *")
    check(lib.hvpt_space_translate(space, gpa(address), mapping))
    print(f"guest {address:x} is host {mapping.hpa.value:x}, a page of {mapping.page_size}")
words = []


@ffi.callback("void(void *, const char *, size_t)")
def put(ctx, text, length):
    words.append(ffi.unpack(text, length).decode())


lib.hvpt_space_explain(space, gpa(0x2FF000), lib.HVPT_WRITE, ffi.new("struct hvpt_text *", {"put": put}))
print("".join(words).rstrip().splitlines()[-1])
lib.hvpt_space_destroy(space)
