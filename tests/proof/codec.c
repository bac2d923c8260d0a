/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Encode and decode are inverse: whatever attribute a format takes, at whatever level and address, under whatever
 * configuration, is well-formed and read back as it was; so is a reference to a table. What becomes of a leaf later
 * (another size, logging, aging) is well-formed, too, and says what it should; with FOREIGN, of any well-formed leaf, whoever
 * made it.
 */
#include "formats.h"

/* The attribute as it is read back: flags that are the leaf's own. */
static bool same(struct hvpt_attr a, struct hvpt_attr b)
{
    return a.perm == b.perm && a.memtype == b.memtype && a.flags == b.flags && a.software == b.software;
}

int main(void)
{
    struct hvpt_space space;
    const struct hvpt_attr attr = any_attr();
    uint64_t hpa = nondet_u64();
    const unsigned level = nondet_unsigned();
    struct hvpt_leaf leaf;
    struct hvpt_attr read, written;
    uint64_t entry, other;

    if (!any_space(&space))
        return 0;
    assume(level <= space.root_level);

    /* A table. */
    if (hpa < space.hpa_limit && !(hpa & (hvpt_span(&space, 0) - 1)) && level > 0) {
        const uint64_t table = hvpt_make_table(&space, hpa);

        must(hvpt_judge(&space, table, level) == HVPT_ENTRY_TABLE, "a made table is one");
        must(hvpt_frame_in(&space, table) == hpa, "its frame is read back");
        must(hvpt_judge(&space, table | space.rules->full_bit, level) == HVPT_ENTRY_TABLE, "also if it is marked full");
        must(hvpt_frame_in(&space, table | space.rules->full_bit) == hpa, "its frame likewise");
    }

#ifdef FOREIGN
    (void)attr, (void)leaf;
    entry = nondet_u64();
    assume(hvpt_is_present(&space, entry) && hvpt_is_leaf(&space, entry, level) && !hvpt_is_contig(&space, entry, level));
    hpa = hvpt_leaf_address(&space, entry, level, 0);
    read = space.rules->decode(&space, entry, level);
#else
    /* A leaf. */
    if (hvpt_leaf_make(&space, attr, &leaf) != HVPT_OK)
        return 0;
    must(leaf.max_level <= space.max_leaf_level, "no larger than the space allows");
    if (level > leaf.max_level || hpa >= space.hpa_limit || (hpa & (hvpt_span(&space, level) - 1)))
        return 0;
    entry = leaf.bits[level] | hvpt_place(&space, hpa);
    must(!(leaf.bits[level] & hvpt_place(&space, hpa)), "the address lies where nothing else does");
    must(hvpt_is_present(&space, entry) && hvpt_is_leaf(&space, entry, level), "a made leaf is one");
    must(!hvpt_is_table(&space, entry, level), "and no table");
    must(manual_says(&space, entry, level) == OPINION_LEAF, "the manual agrees");
    must(hvpt_leaf_address(&space, entry, level, nondet_u64()) == hpa, "its address is read back");
    read = space.rules->decode(&space, entry, level);
    written = as_written(&space, attr);
    must(same(read, written), "its attributes are read back");
#endif

    /* The same by the next smaller and the next larger leaves. */
    if (level > 0) {
        const uint64_t below = space.rules->relevel(entry, level, level - 1);

        written = read;
#if defined(EPT)
        if (level == 1)
            written.flags &= ~(uint32_t)HVPT_EPT_SUB_PAGE_WRITE;
#endif
        must(hvpt_is_leaf(&space, below, level - 1), "split, it is a leaf");
        must(same(space.rules->decode(&space, below, level - 1), written), "that says the same");
        must(hvpt_leaf_address(&space, below, level - 1, 0) == hpa, "of the same page");
        other = space.rules->relevel(below, level - 1, level);
#ifndef FOREIGN
        must(other == entry, "and joined again it is what it was");
#endif
        must(hvpt_is_leaf(&space, other, level) && same(space.rules->decode(&space, other, level), written),
             "and joined again it says so still");
    }

    /* Logging takes the permission to write, and touch gives it back. */
    other = space.rules->log_writes(&space, entry);
    must(hvpt_is_present(&space, other), "a logged leaf is present");
    if (read.perm & HVPT_WRITE) {
        const uint64_t back = space.rules->touch(&space, other, HVPT_WRITE);
        struct hvpt_attr logged = space.rules->decode(&space, other, level);

        must(!(logged.perm & HVPT_WRITE) && (logged.flags & HVPT_LOGGED), "logged");
        must((logged.perm | HVPT_WRITE) == read.perm, "nothing else was taken");
        if (logged.perm != 0) {
            must(hvpt_is_leaf(&space, other, level), "a logged leaf is well-formed");
            must(space.rules->decode(&space, back, level).perm == read.perm, "touch gives the permission back");
            must(hvpt_is_leaf(&space, back, level), "as a well-formed leaf");
            must(hvpt_leaf_address(&space, back, level, 0) == hpa, "of the same page");
        }
    } else {
        must(other == entry, "there was nothing to take");
    }

    /* Aged and used again. */
    other = space.rules->forget(&space, entry);
    must(hvpt_is_present(&space, other) && hvpt_is_leaf(&space, other, level), "an aged leaf is one");
    must(hvpt_leaf_address(&space, other, level, 0) == hpa, "of the same page");
    must(space.rules->decode(&space, other, level).memtype == read.memtype, "and the same type");
    {
        const uint32_t access = nondet_bool() ? HVPT_READ : nondet_bool() ? HVPT_WRITE : HVPT_EXEC;
        const uint64_t back = space.rules->touch(&space, other, access);

        must(hvpt_is_leaf(&space, back, level), "touched, it is one");
        must(hvpt_leaf_address(&space, back, level, 0) == hpa, "of the same page");
        must((space.rules->decode(&space, back, level).perm & ~HVPT_WRITE) == (read.perm & ~(uint32_t)HVPT_WRITE),
             "with its permissions back");
    }
    return 0;
}
