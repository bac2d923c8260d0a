/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * protect's change of a leaf: what the mask names becomes what was asked for, nothing else changes, no accessed or dirty
 * bit is lost, and the leaf stays well-formed and keeps its page. With FOREIGN the leaf is any that is well-formed, whoever
 * made it; without, one that encode made.
 */
#include "formats.h"

int main(void)
{
    struct hvpt_space space;
    struct hvpt_attr attr = any_attr(), wanted = any_attr(), before, after, expected;
    uint64_t hpa = nondet_u64();
    const unsigned level = nondet_unsigned();
    const uint32_t mask = nondet_u32(), kept = HVPT_ACCESSED | HVPT_DIRTY | HVPT_LOGGED;
    uint32_t bits_named = mask & HVPT_PERM_ALL;
    struct hvpt_leaf leaf, changed;
    uint64_t entry, result;

    if (!any_space(&space))
        return 0;
    assume(level <= space.root_level);
    assume(!(mask & ~(HVPT_PERM_ALL | HVPT_CHANGE_MEMTYPE | HVPT_CHANGE_FLAGS | HVPT_CHANGE_SOFTWARE)));
#ifdef FOREIGN
    (void)attr, (void)leaf;
    entry = nondet_u64();
    assume(hvpt_is_present(&space, entry) && hvpt_is_leaf(&space, entry, level) && !hvpt_is_contig(&space, entry, level));
    hpa = hvpt_leaf_address(&space, entry, level, 0);
#else
    if (hvpt_leaf_make(&space, attr, &leaf) != HVPT_OK)
        return 0;
    if (level > leaf.max_level || hpa >= space.hpa_limit || (hpa & (hvpt_span(&space, level) - 1)))
        return 0;
    entry = leaf.bits[level] | hvpt_place(&space, hpa);
#endif
    before = space.rules->decode(&space, entry, level);

    /* What the leaf is to say, as hvpt_space_protect documents it. */
    expected = before;
    expected.flags &= ~(uint32_t)HVPT_JOINED;
    expected.perm = (before.perm & ~bits_named) | (wanted.perm & bits_named);
    if (mask & HVPT_WRITE)
        expected.flags &= ~(uint32_t)HVPT_LOGGED;
    if (mask & HVPT_CHANGE_MEMTYPE)
        expected.memtype = wanted.memtype;
    if (mask & HVPT_CHANGE_FLAGS)
        expected.flags = (expected.flags & kept) | (wanted.flags & ~kept);
    if (mask & HVPT_CHANGE_SOFTWARE)
        expected.software = wanted.software;
    if (space.rules->encode(&space, expected, &changed) != HVPT_OK || level > changed.max_level)
        return 0;
    result = space.rules->change(&space, entry, changed.bits[level], mask, level);
    after = space.rules->decode(&space, result, level);
    expected = as_written(&space, expected);

    must(hvpt_is_present(&space, result) && hvpt_is_leaf(&space, result, level), "it stays a leaf");
    must(hvpt_leaf_address(&space, result, level, 0) == hpa, "of the same page");
    must(after.perm == expected.perm, "permissions are what was asked for");
    must(after.memtype == expected.memtype, "so is the memory type");
    must(after.software == expected.software, "so is software's number");
    must((after.flags & HVPT_ACCESSED) || !(before.flags & HVPT_ACCESSED), "no accessed bit is lost");
    must((after.flags & HVPT_DIRTY) || !(before.flags & HVPT_DIRTY), "no dirty bit is lost");
    must((after.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY | HVPT_JOINED)) == (expected.flags & ~(uint32_t)(HVPT_ACCESSED | HVPT_DIRTY)),
         "the other flags are what was asked for");
    return 0;
}
