/*
 * What the second level makes of one guest-physical access, to the entry and the right that decide: unlike translate,
 * which says only that an address cannot be had.
 */
#ifndef HVPT_GUEST_WALK_SECOND_H
#define HVPT_GUEST_WALK_SECOND_H

#include "space.h"

enum hvpt_second {
    HVPT_SECOND_ALLOWED,
    HVPT_SECOND_DENIED,     /* mapped, but not for this access */
    HVPT_SECOND_ABSENT,     /* an entry is not present, or the address is beyond the space */
    HVPT_SECOND_MALFORMED,  /* a misconfiguration (EPT), a reserved bit (NPT) */
    HVPT_SECOND_UNREACHABLE /* phys_to_virt does not offer one of the tables */
};

/*
 * Does hardware take the entry for one that is present? A page that "age" took the rights of is not, although translate
 * still finds it: the exit is what touch answers.
 */
static inline bool hvpt_second_is_present(const struct hvpt_space *space, uint64_t entry)
{
    return space->kind == HVPT_KIND_EPT ? hvpt_ept_perm(space, entry) != 0 : (entry & HVPT_NPT_BIT_PRESENT) != 0;
}

/*
 * Find the leaf for gpa. HVPT_SECOND_ALLOWED: *out is as translate has it. Otherwise out->level and out->entry are of
 * the entry that ended the walk (0 for an address beyond the space), out->attr.perm is 0.
 */
HVPT_ENGINE enum hvpt_second hvpt_second_find(const struct hvpt_format *format, const struct hvpt_space *space,
                                              uint64_t gpa, struct hvpt_mapping *out)
{
    const hvpt_entry *table = space->root_table;
    unsigned level = space->root_level;
    uint32_t perm = HVPT_PERM_ALL;

    hvpt_describe(format, space, 0, 0, level, 0, out);
    if (gpa >= space->gpa_limit)
        return HVPT_SECOND_ABSENT;
    for (;; level--) {
        uint64_t entry = hvpt_load(&table[hvpt_index(format, space, gpa, level)]);

        out->level = level;
        out->entry = entry;
        if (!hvpt_second_is_present(space, entry))
            return HVPT_SECOND_ABSENT;
        if (format->is_table(space, entry, level)) {
            perm &= format->table_perm(space, entry);
            table = hvpt_table_at(space, format->table_frame(space, entry));
            if (table == NULL)
                return HVPT_SECOND_UNREACHABLE;
            continue;
        }
        if (!format->is_leaf(space, entry, level))
            return HVPT_SECOND_MALFORMED;
        hvpt_describe(format, space, gpa, entry, level, perm, out);
        return HVPT_SECOND_ALLOWED;
    }
}

/*
 * May access be made to gpa? access: HVPT_READ | HVPT_WRITE, or HVPT_EXEC, or HVPT_EXEC_USER where the space tells
 * the two apart. paging: it is made by the guest's page walk, not by the guest.
 * HVPT_SECOND_ALLOWED and HVPT_SECOND_DENIED: *out is the mapping; the others: as hvpt_second_find.
 *
 * SDM vol. 3, "EPT Violations", for the last rule: with the EPT paging-write control, a page can be open to the page
 * walk's writes and closed to the guest's.
 */
static inline enum hvpt_second hvpt_second_access(const struct hvpt_space *space, uint64_t gpa, uint32_t access,
                                                  bool paging, struct hvpt_mapping *out)
{
    enum hvpt_second found = space->kind == HVPT_KIND_EPT ? hvpt_second_find(&hvpt_ept_format, space, gpa, out)
                                                          : hvpt_second_find(&hvpt_npt_format, space, gpa, out);

    if (found != HVPT_SECOND_ALLOWED)
        return found;
    access &= ~out->attr.perm;
    if (paging && space->kind == HVPT_KIND_EPT && (out->attr.flags & HVPT_EPT_PAGING_WRITE))
        access &= ~(uint32_t)HVPT_WRITE;
    return access == 0 ? HVPT_SECOND_ALLOWED : HVPT_SECOND_DENIED;
}

#endif
