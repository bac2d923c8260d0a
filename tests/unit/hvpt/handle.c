/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A handle whose kind, or whose granule, is none: what memory that was never initialized may hold. Every call answers
 * and touches nothing. (What the calls do for each kind the generic suites judge, through rows of their own.)
 */
#include "support/rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define PAGE HVPT_4K

static void nothing_works(const struct adapter *adapter, struct hvpt_space *space, enum hvpt_status wanted)
{
    struct hvpt_visitor visitor = {0};
    struct hvpt_leaf_iterator iterator = hvpt_leaves(hvpt_make_gpa(0), PAGE);
    struct hvpt_collapse_report report;
    struct hvpt_mapping mapping;
    struct hvpt_flush flush = {0};
    struct hvpt_stats stats;
    uint64_t bitmap[1] = {0}, frames;
    hvpt_gpa gpa = {0};
    enum hvpt_status status = HVPT_OK;
    struct hvpt_attr attr = attr_rwx();
    struct hvpt_text_buffer buffer;
    const struct hvpt_text text = hvpt_text_into(&buffer, NULL, 0);

    CHECK_STATUS(adapter->map(space, 0, 0, PAGE, attr, NULL), wanted, "map");
    CHECK_STATUS(adapter->unmap(space, 0, PAGE, NULL), wanted, "unmap");
    CHECK_STATUS(adapter->protect(space, 0, PAGE, attr, HVPT_WRITE, NULL), wanted, "protect");
    CHECK_STATUS(adapter->replace(space, 0, 0, PAGE, attr, NULL), wanted, "replace");
    CHECK_STATUS(adapter->fault_map(space, 0, 0, PAGE, attr), wanted, "fault_map");
    CHECK_STATUS(adapter->touch(space, 0, HVPT_READ), wanted, "touch");
    CHECK_STATUS(adapter->translate(space, 0, &mapping), wanted, "translate");
    CHECK_STATUS(adapter->explain(space, 0, HVPT_READ, &text), wanted,
                 "explain");
    adapter->translate_batch(space, &gpa, 1, &mapping, &status);
    CHECK_STATUS(adapter->walk(space, 0, PAGE, &visitor), wanted, "walk");
    CHECK(!adapter->next_leaf(space, &iterator, &gpa, &mapping), "a leaf");
    CHECK_STATUS(adapter->split(space, 0, PAGE, PAGE, NULL), wanted, "split");
    CHECK_STATUS(adapter->collapse(space, 0, PAGE, NULL, &report), wanted, "collapse");
    CHECK_STATUS(adapter->age(space, 0, PAGE, bitmap, NULL), wanted, "age");
    CHECK_STATUS(adapter->dirty(space, 0, PAGE, bitmap, NULL), wanted, "dirty");
    CHECK_STATUS(adapter->write_protect(space, 0, PAGE, NULL), wanted, "write_protect");
    CHECK_STATUS(adapter->map_needs(space, 0, 0, PAGE, attr, &frames), wanted, "frames_needed");
    CHECK_STATUS(adapter->unmap_needs(space, 0, PAGE, &frames), wanted, "frames_needed_to_unmap");
    CHECK_STATUS(adapter->split_needs(space, 0, PAGE, PAGE, &frames), wanted, "frames_needed_to_split");
    adapter->flush(space, &flush);
    adapter->stats(space, &stats);
}

Test(handle, of_no_kind_answers_and_touches_nothing)
{
    struct hvpt_space space, copy;

    memset(&space, 0, sizeof(space));
    copy = space;
    nothing_works(&ept_adapter, &space, HVPT_E_RANGE);
    nothing_works(&s2_adapter, &space, HVPT_E_RANGE);
    CHECK(memcmp(&space, &copy, sizeof(space)) == 0, "the handle was written");
    ept_adapter.destroy(&space);
    nothing_works(&ept_adapter, &space, HVPT_E_RANGE);
}

/* Whatever was wrong with its making: a space that was not made refuses every call, and is not dereferenced. */
Test(handle, that_was_not_made_answers_and_touches_nothing)
{
    static const struct adapter *const adapters[] = {&ept_adapter, &npt_adapter, &s2_adapter, &gstage_adapter};
    const struct hvpt_hooks none = {0};
    struct any_config config = {0};
    struct hvpt_space space;
    size_t i;

    for (i = 0; i < sizeof(adapters) / sizeof(adapters[0]); i++) {
        memset(&space, 0xaa, sizeof(space));
        CHECK_STATUS(adapters[i]->init(&space, &none, &config), HVPT_E_HOOK, "init without hooks");
        nothing_works(adapters[i], &space, HVPT_E_RANGE);
        memset(&space, 0xaa, sizeof(space));
        CHECK_STATUS(adapters[i]->init(&space, NULL, &config), HVPT_E_HOOK, "init with NULL hooks");
        nothing_works(adapters[i], &space, HVPT_E_RANGE);
    }
}
