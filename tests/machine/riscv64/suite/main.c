/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The kernel of checks. */
#include "console.h"
#include "cpu.h"
#include "kernel.h"
#include "suite.h"

static struct frames frames;

void kernel_main(void)
{
    frames_init(&frames);
    check_group("G-stage");
    if (!check_true(cpu_has_hypervisor(), "the processor has the hypervisor extension")) {
        check_summary();
        return;
    }
    suite_detect(&frames);
    suite_exits(&frames);
    suite_geometry(&frames);
    suite_leaves(&frames);
    suite_permissions(&frames);
    suite_entries(&frames);
    suite_memory_types(&frames);
    suite_napot(&frames);
    suite_accessed_dirty(&frames);
    suite_tracking(&frames);
    suite_flushes(&frames);
    suite_changes(&frames);
    suite_operations(&frames);
    suite_guest_walk(&frames);
    check_group("G-stage, frames");
    check_equal(frames.held, 0, "none is held");
    check_equal(frames.allocated, frames.given_back, "as many came back as were handed out");
    check_equal(frames.double_free, 0, "none came back twice");
    check_equal(frames.foreign_free, 0, "none came back that was not handed out");
    check_summary();
}
