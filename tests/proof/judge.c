/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Of every entry at every level, under every configuration: judge accepts it exactly if the manual does, as what the manual
 * says it is. And the masks in struct hvpt_space, which answer first, never contradict the rules.
 */
#include "formats.h"

int main(void)
{
    struct hvpt_space space;
    const uint64_t entry = nondet_u64();
    const unsigned level = nondet_unsigned();
    enum opinion opinion;
    unsigned judged;

    if (!any_space(&space))
        return 0;
    assume(level <= space.root_level);
    opinion = manual_says(&space, entry, level);
    judged = hvpt_judge(&space, entry, level);
#if defined(EPT)
    if (opinion == OPINION_EMPTY && is_marked(&space, entry))
        must(judged != HVPT_ENTRY_EMPTY, "an aged page is not free");
    else
#elif defined(NPT)
    if (opinion == OPINION_TABLE && is_marked(&space, entry))
        must(judged >= HVPT_ENTRY_BROKEN, "a table that the library does not take");
    else
#endif
        must(opinion == (judged == HVPT_ENTRY_EMPTY   ? OPINION_EMPTY
                         : judged == HVPT_ENTRY_TABLE ? OPINION_TABLE
                         : judged == HVPT_ENTRY_LEAF  ? OPINION_LEAF
                                                      : OPINION_BROKEN),
             "judge says what the manual says");
    if (level > 0 && hvpt_is_usual_table(&space, entry)) {
        must(judged == HVPT_ENTRY_TABLE, "a usual table is a table");
        must(hvpt_table_perm(&space, entry) == hvpt_table_perm(&space, space.table_bits), "and denies nothing");
    }
    if (level == 0 && (entry & space.leaf_mask) == space.leaf_bits)
        must(judged == HVPT_ENTRY_LEAF, "a usual leaf is a leaf");
    must(!hvpt_is_present(&space, space.empty_entry), "what the engine writes to empty an entry is empty");
    if (!(entry & space.far_bits) && judged == HVPT_ENTRY_TABLE && space.rules->address != NULL)
        must(space.rules->address(&space, entry) == (entry & space.frame_mask) << space.frame_shift,
             "without far bits the address lies where the mask says");
    return 0;
}
