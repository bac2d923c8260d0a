# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""hvpt map, walk, --diff and --audit over images that images.py builds: runs, differences and shared frames are worked out
here, page by page, from what was mapped."""

import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.dom.minidom
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import images

hvpt = sys.argv[1]
number, failed = 0, 0
folder = Path(tempfile.mkdtemp())


def ok(fine, name, detail=""):
    global number, failed
    number += 1
    failed += not fine
    print(("ok" if fine else "not ok"), number, "-", name)
    if not fine and detail:
        print("\n".join("# " + line for line in str(detail).splitlines()[:40]))


def run(*words, text=None):
    done = subprocess.run([hvpt, *map(str, words)], capture_output=True, text=True, input=text, timeout=600)
    return done.returncode, done.stdout, done.stderr


def save(name, contents):
    path = folder / name
    path.write_bytes(contents)
    return path


def fill(tree, seed, count=60, host=1 << 30, types=("WB", "UC")):
    """Random pages, some in a row, of levels 0 and 1, that do not overlap."""
    rng = random.Random(seed)
    taken = set()
    gpa = 0
    for _ in range(count):
        level = rng.choice((0, 0, 0, 1))
        size = tree.span(level)
        gpa = (gpa + size - 1) // size * size
        if rng.random() < 0.3:
            gpa += rng.choice((size, 37 * size, 1 << 31))
            gpa = gpa // size * size
        hpa = host + gpa if rng.random() < 0.8 else host + (rng.randrange(1 << 12) * size)
        if gpa + size > 1 << 38 or any(page in taken for page in range(gpa >> 12, (gpa + size) >> 12, 1)):
            continue
        taken.update(range(gpa >> 12, (gpa + size) >> 12))
        perm = rng.choice(("rwx", "rwx", "r-x", "rw-", "r--"))
        tree.map(gpa, hpa, perm, rng.choice(types), level)
        gpa += size
    return tree


def numbers(row, keys):
    return {key: int(row[key], 16) if key in ("gpa", "hpa", "size", "page_size") else row[key] for key in keys}


KEYS = ("gpa", "hpa", "size", "page_size", "perm", "memtype")


def check_map(name, tree, contents, *words):
    path = save(name.replace(" ", "-"), contents)
    status, out, err = run("map", "--json", path, *tree.words.split(), f"root={tree.register:#x}", *words)
    if status not in (0, 1) or not out:
        ok(False, name, err)
        return path
    answer = json.loads(out)
    seen = [numbers(row, KEYS) for row in answer["tree"] if row["kind"] == "run"]
    tables = {int(row["table"], 16): row["level"] for row in answer["tree"] if row["kind"] == "table"}
    ok(status == 0 and seen == tree.runs() and tables == tree.tables and answer["pages"] == len(tree.pages), name,
       f"{status}\n{seen}\n{tree.runs()}\n{tables}\n{tree.tables}")
    return path


# ---- map, of each format and kind of image ----

made = {}
for label, make in (("ept 4 levels", lambda i: images.Ept(i)), ("ept 5 levels", lambda i: images.Ept(i, 5)),
                    ("npt", lambda i: images.Npt(i)), ("gstage sv39x4", lambda i: images.Gstage(i, 3)),
                    ("gstage sv48x4", lambda i: images.Gstage(i)), ("stage2 4K", lambda i: images.Stage2(i)),
                    ("stage2 16K", lambda i: images.Stage2(i, 14, 3, 40)),
                    ("stage2 64K", lambda i: images.Stage2(i, 16, 2, 40))):
    image = images.Image(16 << 20)
    tree = fill(make(image), label)
    made[label] = (tree, image, check_map(f"map: {label}, a raw image", tree, image.bytes))

tree, image, _ = made["ept 4 levels"]
check_map("map: an ELF core in three pieces", tree, images.Image.elf(image, pieces=4))
check_map("map: an ELF core whose segments are not aligned", tree, image.elf(shift=3))
flat, elf = b"makedumpfile".ljust(16, b"\0") + struct.pack(">QQ", 1, 1) + bytes(4096 - 32), image.elf()
for offset in (range(0, len(elf), 1 << 20)[::-1]): # in no order
    piece = elf[offset:offset + (1 << 20)]
    flat += struct.pack(">QQ", offset, len(piece)) + piece
check_map("map: a flattened ELF core", tree, flat + b"\xff" * 16)
high = images.Image(4 << 20, base=0x80000000)
check_map("map: a raw image with a base", fill(images.Ept(high), 5), high.bytes, "base=0x80000000")

# ---- walk: every page of the model, and what lies between ----

tree, image, path = made["ept 4 levels"]
wrong = []
for gpa, hpa, size, perm, memtype in tree.pages[:20]:
    at = gpa + size // 2 + 8
    for access in "rwx":
        status, out, _ = run("walk", "--json", path, "ept", f"root={tree.register:#x}", f"gpa={at:#x}", f"access={access}")
        answer = json.loads(out)
        if (status == 0) != (access in perm) or int(answer["hpa"], 16) != hpa + size // 2 + 8 or answer["memtype"] != memtype:
            wrong.append((hex(at), access, perm, answer))
ok(not wrong, "walk: pages of the model, right by right", wrong)
status, out, _ = run("walk", path, "ept", f"root={tree.register:#x}", "gpa=0x3ff0000000")
ok(status == 1 and "not mapped" in out, "walk: an address that is not mapped", out)

# A guest of its own: 4-level tables at guest-physical addresses, through EPT.
image = images.Image(1 << 20)
tree = images.Ept(image)
frames = [image.alloc() for _ in range(5)]
for i, frame in enumerate(frames):
    tree.map(0x10000 + i * 4096, frame, "rwx" if i < 4 else "r--")
for i in range(4):
    image.store(frames[i] + 8 * (3 if i == 3 else 0), (0x10000 + (i + 1) * 4096) | 0x67)
path = save("guest", image.bytes)
status, out, err = run("walk", "--json", path, "ept", f"root={tree.register:#x}", "gva=0x3123", "cr3=0x10000", "access=r")
answer = json.loads(out)
ok(status == 0 and int(answer["gpa"], 16) == 0x14123 and int(answer["hpa"], 16) == frames[4] + 0x123
   and [int(step["hpa"], 16) for step in answer["guest_entries"]] == [frames[0], frames[1], frames[2], frames[3] + 24],
   "walk: a guest-virtual address through both stages", out + err)
status, out, _ = run("walk", "--json", path, "ept", f"root={tree.register:#x}", "gva=0x3123", "cr3=0x10000", "access=w")
answer = json.loads(out)
ok(status == 1 and answer["end"] == "EPT violation" and not answer["on_table"], "walk: a write that EPT denies", out)
status, out, _ = run("walk", "--json", path, "ept", f"root={tree.register:#x}", "gva=0x5000", "cr3=0x10000")
ok(status == 1 and json.loads(out)["end"] == "page fault of the guest", "walk: a page fault of the guest", out)

# ---- broken tables ----

image = images.Image(1 << 20)
tree = images.Ept(image)
for i in range(8):
    tree.map(i << 12, (1 << 30) + (i << 12))
tree.map(1 << 30, 2 << 30)
image.store(tree.descend(3 << 12, 0), (1 << 30) | 2)          # EPTM.01: writable but not readable
image.store(tree.descend(2 << 30, 1), 0x7777777000 | 7)       # a table out of the image
path = save("broken", image.bytes)
status, out, _ = run("map", "--json", path, "ept", f"root={tree.register:#x}")
answer = json.loads(out)
broken = [(int(row["gpa"], 16), int(row["size"], 16), row["why"]) for row in answer["tree"] if row["kind"] == "broken"]
ok(status == 1 and len(broken) == 2 and broken[0][:2] == (3 << 12, 4096) and "EPTM.01" in broken[0][2]
   and broken[1][:2] == (2 << 30, 2 << 20) and answer["pages"] == 8, "map: goes on behind broken entries", out)

image = images.Image(1 << 20)
tree = images.Ept(image)
image.store(tree.root, tree.root | 7)
status, out, _ = run("map", save("loop", image.bytes), "ept", f"root={tree.register:#x}")
ok(status == 1 and "loops" in out, "map: a loop ends", out)
image = images.Image(1 << 20)
tree = images.Ept(image)
tables = [tree.root] + [image.alloc() for _ in range(3)]
for above, below in zip(tables, tables[1:]):
    for i in range(512):
        image.store(above + 8 * i, below | 7)
status, out, _ = run("map", save("diamond", image.bytes), "ept", f"root={tree.register:#x}")
ok(status == 1 and "more tables" in out, "map: tables shared 512 ways a level end", out[-300:])
diamond = folder / "diamond"
status, out, _ = run("map", "--audit", diamond, "ept", f"root={tree.register:#x}", "--", "ept", f"root={tree.register:#x}")
ok(status == 1, "audit: shared tables end", out[-300:])

# ---- diff ----


def pages_of(tree):
    out = {}
    for gpa, hpa, size, perm, memtype in tree.pages:
        for at in range(0, size, 4096):
            out[gpa + at] = (hpa + at, perm, memtype, size)
    return out


for seed in range(4):
    image = images.Image(32 << 20)
    first, second = fill(images.Ept(image), seed), images.Ept(image)
    rng = random.Random(seed)
    for gpa, hpa, size, perm, memtype in first.pages:
        level = 0 if size == 4096 else 1
        roll = rng.random()
        if roll < 0.1:
            continue
        if roll < 0.2:
            perm = "r--"
        if roll > 0.9:
            hpa += 1 << 35
        if level and 0.5 < roll < 0.6: # the same, in small pages
            for at in range(0, size, 4096):
                second.map(gpa + at, hpa + at, perm, memtype, 0)
            continue
        second.map(gpa, hpa, perm, memtype, level)
    second.map(1 << 39, 5 << 30)
    path = save(f"diff{seed}", image.bytes)
    status, out, err = run("map", "--diff", "--json", path, "ept", f"root={first.register:#x}", "--", "ept",
                           f"root={second.register:#x}")
    a, b = pages_of(first), pages_of(second)
    want = {"first": {g: v[:3] for g, v in a.items() if b.get(g) != v}, "second": {g: v[:3] for g, v in b.items() if a.get(g) != v}}
    got = {"first": {}, "second": {}}
    for row in json.loads(out)["differences"]:
        n = numbers(row, KEYS)
        for at in range(0, n["size"], 4096):
            got[row["in"]][n["gpa"] + at] = (n["hpa"] + at, n["perm"], n["memtype"])
    ok(status == 1 and got == want, f"diff: what was taken, changed and added, {seed}",
       [sorted(set(got[k].items()) ^ set(want[k].items()))[:5] for k in got])
status, out, _ = run("map", "--diff", path, "ept", f"root={first.register:#x}", "--", path, "ept", f"root={first.register:#x}")
ok(status == 0 and out == "no difference\n", "diff: a tree and itself", out)

# ---- audit ----

seen_any = 0
for seed in range(6):
    image = images.Image(32 << 20)
    first = fill(images.Ept(image), seed, host=1 << 32)
    second = fill(images.Npt(image), seed + 100, host=(1 << 32) + (1 << 22), types=("WB",))
    if seed % 2:
        second.map(1 << 39, sorted(first.tables)[1], "rw-")
        first.map(1 << 39, second.root, "r--")
    path = save(f"audit{seed}", image.bytes)
    status, out, err = run("map", "--audit", "--json", path, "ept", f"root={first.register:#x}", "--", "npt",
                           f"root={second.register:#x}")
    answer = json.loads(out)
    shared, tables, at_host = set(), set(), {}
    for g, (h, p, _, _) in pages_of(second).items():
        at_host.setdefault(h, []).append((g, p))
    for g, (h, p, _, _) in pages_of(first).items():
        shared.update((h, g, g2, p, p2) for g2, p2 in at_host.get(h, ()))
    seen_any += len(shared)
    for guest, tree in ((1, first), (2, second)):
        for g, (h, p, _, _) in pages_of(tree).items():
            for owner, other in ((1, first), (2, second)):
                if h in other.tables:
                    tables.add((h, guest, g, p, owner, other.tables[h]))
    got_shared, got_tables = set(), set()
    for row in answer["findings"]:
        h, size = int(row["hpa"], 16), int(row["size"], 16)
        for at in range(0, size, 4096):
            if row["kind"] == "shared":
                got_shared.add((h + at, int(row["gpa_first"], 16) + at, int(row["gpa_second"], 16) + at,
                                row["perm_first"], row["perm_second"]))
            elif row["kind"] == "table":
                got_tables.add((h + at, row["guest"], int(row["gpa"], 16) + at, row["perm"], row["owner"], row["level"]))
    writable = sum(4096 for row in shared if "w" in row[3] + row[4])
    ok((got_shared, got_tables) == (shared, tables) and status == (1 if shared or tables else 0)
       and int(answer["shared_writable_bytes"], 16) == writable, f"audit: shared frames and tables, {seed}",
       f"{len(shared)} {len(got_shared)} {tables} {got_tables}\n{err}")
ok(seen_any > 1000, "audit: the trees do share frames")
image = images.Image(1 << 20)
first, second = images.Ept(image), images.Ept(image)
first.map(0, 1 << 30)
second.map(0, (1 << 30) + 4096)
path = save("isolated", image.bytes)
status, out, _ = run("map", "--audit", path, "ept", f"root={first.register:#x}", "--", "ept", f"root={second.register:#x}")
ok(status == 0 and out.startswith("isolated"), "audit: two guests that share nothing", out)

# ---- pictures ----

tree, image, path = made["ept 4 levels"]
status, out, _ = run("map", "--svg", path, "ept", f"root={tree.register:#x}")
document = xml.dom.minidom.parseString(out)
texts = ["".join(child.data for child in text.childNodes) for text in document.getElementsByTagName("text")]
ok(status == 0 and all(any(t.startswith(f"{row['gpa']:#x} ") for t in texts) for row in tree.runs()),
   "svg: well-formed, and every run has a row")
chips = [(rect.getAttribute("class"), rect.nextSibling.firstChild.data) for rect in document.getElementsByTagName("rect")
         if rect.nextSibling is not None and rect.nextSibling.nodeName == "text" and rect.nextSibling.getAttribute("class") == "chip"]
types = [chip for chip in chips if chip[1] in images.MEMTYPES]
ok(len(types) == len(tree.runs()) and len(set(types)) > 1 and all(style == word.lower() for style, word in types),
   "svg: a memory type has its own colour", types)

# ---- files and words that cannot be read ----

for name, contents in (("empty", b""), ("short ELF", b"\x7fELF" + bytes(60)), ("ELF of no kind", b"\x7fELF\x02\x01\x01" + bytes(57)),
                       ("compressed", b"KDUMP   " + bytes(4096))):
    status, out, err = run("map", save("bad", contents), "ept", "root=0x1000")
    ok(status == 2 and out == "" and err.startswith("hvpt: "), f"image: {name} is not readable", (status, out, err))
for name, contents in (("cut", flat[:5 << 20]), ("without pieces", flat[:4096]), ("that goes far", flat[:4096] + b"\x7f" * 32)):
    status, out, err = run("map", save("bad", contents), "ept", "root=0x1000")
    ok(status == 2 and "flattened" in err, f"image: a flattened dump {name}", err)
core = bytearray(made["ept 4 levels"][1].elf())
core[56:58] = b"\xfe\xff" # 65534 program headers, which are not there
status, out, err = run("map", save("bad", bytes(core[:2000])), "ept", "root=0x1000")
ok(status == 2 and "program headers" in err, "image: a cut ELF core", err)
for words, message in ((["root=0x1000"], "1:1: the format comes first"), (["ept", "root=zz"], "1:10: a number is expected"),
                       (["ept", "root=0xfffffffff000"], "not in this memory"), (["ept", "rot=1"], "1:5: no such name"),
                       (["gstage", "mbec", "root=0"], "1:8: this format has no such feature")):
    status, out, err = run("map", made["ept 4 levels"][2], *words)
    ok(status == 2 and message in err, f"words: {' '.join(words)}", err)
ok(run("map", folder / "no-such-file", "ept", "root=0")[0] == 2, "image: no such file")

shutil.rmtree(folder, ignore_errors=True)
print(f"1..{number}")
sys.exit(1 if failed else 0)
