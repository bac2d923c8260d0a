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
    print("MIDR_EL1 %lx, MMFR0 %lx, MMFR1 %lx, MMFR2 %lx, MMFR3 %lx\n", cpu_read_midr(), cpu_read_mmfr0(),
          cpu_read_mmfr1(), cpu_read_mmfr2(), cpu_read_mmfr3());
    check_group("enable");
    if (!check_equal(cpu_read_current_el() >> 2, 2, "the kernel runs at EL2")) {
        check_summary();
        return;
    }
    suite_exits(&frames);
    suite_permissions(&frames);
    suite_leaves(&frames);
    suite_geometry(&frames);
    suite_stale(&frames);
    suite_operations(&frames);
    suite_contiguous(&frames);
    suite_accessed_dirty(&frames);
    suite_memory_types(&frames);
    suite_entries(&frames);
    suite_copies(&frames);
    suite_indirect(&frames);
    suite_tags(&frames);
    suite_guest_walk(&frames);
    check_group("frames");
    check_equal(frames.held, 0, "none is held");
    check_equal(frames.allocated, frames.given_back, "as many came back as were handed out");
    check_equal(frames.double_free, 0, "none came back twice");
    check_equal(frames.foreign_free, 0, "none came back that was not handed out");
    check_summary();
}
