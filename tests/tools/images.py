# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Memory images with second-level tables, built from the manuals' entry formats and from nothing of the library:
SDM vol. 3, "EPT Translation Mechanism"; APM vol. 2, "Page-Translation-Table Entry Fields"; Arm ARM, "VMSAv8-64
translation table format descriptors"; RISC-V Privileged Architecture, "Virtual-Memory System". A model keeps what was
mapped as a list of pages, which is what the command has to find again."""

import struct

PAGE = 4096
MEMTYPES = {"UC": 0, "WC": 1, "WT": 4, "WP": 5, "WB": 6}


class Image:
    """Physical memory of size bytes from base on."""

    def __init__(self, size=1 << 20, base=0):
        self.bytes = bytearray(size)
        self.base = base
        self.free = base + PAGE

    def alloc(self, size=PAGE):
        at = (self.free + size - 1) // size * size
        self.free = at + size
        assert self.free <= self.base + len(self.bytes)
        return at

    def load(self, address):
        return struct.unpack_from("<Q", self.bytes, address - self.base)[0]

    def store(self, address, value):
        struct.pack_into("<Q", self.bytes, address - self.base, value)

    def elf(self, machine=62, pieces=1, shift=0):
        """A core as dump-guest-memory writes it: PT_LOAD segments with p_paddr. shift: moves their offsets."""
        size = len(self.bytes) // pieces
        head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 4, machine, 1, 0, 64, 0, 0, 64, 56,
                           pieces + 1, 0, 0, 0)
        offset = 64 + 56 * (pieces + 1) + shift
        table = struct.pack("<IIQQQQQQ", 4, 0, offset, 0, 0, 0, 0, 0)
        for i in range(pieces):
            table += struct.pack("<IIQQQQQQ", 1, 0, offset + i * size, 0, self.base + i * size, size, size, 0)
        return head + table + bytes(shift) + bytes(self.bytes)


class Tree:
    """One guest's tables, and the list of its pages: (gpa, hpa, size, perm, memtype)."""

    page_shift = 12

    def __init__(self, image, levels):
        self.image, self.levels = image, levels
        self.root = image.alloc(self.root_size)
        self.tables = {self.root: levels - 1}
        self.pages = []

    root_size = PAGE
    index_bits = 9

    def span(self, level):
        return 1 << (self.page_shift + self.index_bits * level)

    def slot(self, table, gpa, level):
        index = gpa // self.span(level)
        if level != self.levels - 1:
            index %= 1 << self.index_bits
        return table + 8 * index

    def descend(self, gpa, level):
        """The address of the entry for gpa at level, with the tables above it."""
        table = self.root
        for above in range(self.levels - 1, level, -1):
            at = self.slot(table, gpa, above)
            entry = self.image.load(at)
            if not entry:
                table = self.image.alloc(1 << self.page_shift)
                self.tables[table] = above - 1
                self.image.store(at, self.table_entry(table))
            else:
                table = self.table_address(entry)
        return self.slot(table, gpa, level)

    def map(self, gpa, hpa, perm="rwx", memtype="WB", level=0):
        self.image.store(self.descend(gpa, level), self.leaf(hpa, perm, memtype, level))
        self.pages.append((gpa, hpa, self.span(level), perm, memtype))

    def runs(self):
        """What "hvpt map" must print: neighbours of one size joined where both addresses go on."""
        out = []
        for gpa, hpa, size, perm, memtype in sorted(self.pages):
            last = out[-1] if out else None
            if (last and last["page_size"] == size and last["gpa"] + last["size"] == gpa
                    and last["hpa"] + last["size"] == hpa and (last["perm"], last["memtype"]) == (perm, memtype)):
                last["size"] += size
            else:
                out.append({"gpa": gpa, "hpa": hpa, "size": size, "page_size": size, "perm": perm, "memtype": memtype})
        return out


def perm_bits(perm, read, write, execute):
    return (read if "r" in perm else 0) | (write if "w" in perm else 0) | (execute if "x" in perm else 0)


class Ept(Tree):
    words = "ept"

    def __init__(self, image, levels=4):
        super().__init__(image, levels)
        self.register = self.root | 6 | (levels - 1) << 3

    def table_entry(self, table):
        return table | 7

    def table_address(self, entry):
        return entry & 0xffffffffff000

    def leaf(self, hpa, perm, memtype, level):
        return hpa | perm_bits(perm, 1, 2, 4) | MEMTYPES[memtype] << 3 | (0x80 if level else 0)


class Npt(Tree):
    words = "npt"

    def __init__(self, image, levels=4):
        super().__init__(image, levels)
        self.register = self.root

    def table_entry(self, table):
        return table | 7

    def table_address(self, entry):
        return entry & 0xffffffffff000

    def leaf(self, hpa, perm, memtype, level):
        # PAT at reset: WB, WT, UC-, UC by PCD and PWT
        cache = {"WB": 0, "WT": 8, "UC": 0x18}[memtype]
        return (hpa | 5 | (2 if "w" in perm else 0) | (0 if "x" in perm else 1 << 63) | cache | (0x80 if level else 0))


class Gstage(Tree):
    words = "gstage svpbmt"
    root_size = 4 * PAGE

    def __init__(self, image, levels=4):
        super().__init__(image, levels)
        self.register = self.root >> 12 | (levels + 5) << 60

    def table_entry(self, table):
        return table >> 2 | 1

    def table_address(self, entry):
        return (entry >> 10 & (1 << 44) - 1) << 12

    def leaf(self, hpa, perm, memtype, level):
        return (hpa >> 2 | 1 | perm_bits(perm, 2, 4, 8) | 0x10 | 0xc0 | {"WB": 0, "WC": 1, "UC": 2}[memtype] << 61)


class Stage2(Tree):
    def __init__(self, image, shift=12, levels=3, ipa_bits=40):
        self.page_shift, self.index_bits = shift, shift - 3
        self.root_size = max(1 << shift, 8 << (ipa_bits - shift - (levels - 1) * (shift - 3)))
        super().__init__(image, levels)
        self.register = self.root
        self.words = f"stage2 granule={1 << (shift - 10)} ipa_bits={ipa_bits} levels={levels}"

    def table_entry(self, table):
        return table | 3

    def table_address(self, entry):
        return entry & (1 << 48) - (1 << self.page_shift)

    def leaf(self, hpa, perm, memtype, level):
        attr = {"WB": 15, "UC": 1, "WC": 5, "WT": 10}[memtype]
        return (hpa | (1 if level else 3) | attr << 2 | (0x40 if "r" in perm else 0) | (0x80 if "w" in perm else 0)
                | 3 << 8 | 1 << 10 | (0 if "x" in perm else 2 << 53))
