/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Control structures: what it costs to bring a changed VMCS image to the CPU, and to write a whole VMCS or VMCB. The CPU is
 * played by two functions that count.
 */
#include <stdlib.h>
#include <string.h>

#include <hvctl/common/guest_state.h>
#include <hvctl/svm/guest.h>
#include <hvctl/svm/vmcb.h>
#include <hvctl/vmx/vmcs.h>
#include <hvctl/vmx/guest.h>

#include "jobs.h"

#define TIMES 20000

static uint64_t writes;

static bool count_write(void *ctx, uint32_t encoding, uint64_t value)
{
    (void)ctx, (void)encoding, (void)value;
    writes++;
    return true;
}

/* Change this many fields, store, and see that this many were written. */
static void store_changed(struct hvctl_vmcs_image *image, unsigned changed)
{
    static const uint32_t fields[] = {
        HVCTL_VMCS_GUEST_RIP,     HVCTL_VMCS_GUEST_RSP,       HVCTL_VMCS_GUEST_RFLAGS,    HVCTL_VMCS_GUEST_CR0,
        HVCTL_VMCS_GUEST_CR3,     HVCTL_VMCS_GUEST_CR4,       HVCTL_VMCS_GUEST_CS_BASE,   HVCTL_VMCS_GUEST_DS_BASE,
        HVCTL_VMCS_GUEST_SS_BASE, HVCTL_VMCS_GUEST_ES_BASE,   HVCTL_VMCS_GUEST_FS_BASE,   HVCTL_VMCS_GUEST_GS_BASE,
        HVCTL_VMCS_GUEST_TR_BASE, HVCTL_VMCS_GUEST_GDTR_BASE, HVCTL_VMCS_GUEST_IDTR_BASE, HVCTL_VMCS_EPT_POINTER,
    };
    char job[64] = "store a VMCS image, 00 fields changed";
    uint64_t start, i;
    unsigned j;

    job[sizeof "store a VMCS image, " - 1] = (char)(changed < 10 ? ' ' : '0' + changed / 10);
    job[sizeof "store a VMCS image, " - 0] = (char)('0' + changed % 10);
    writes = 0;
    start = bench_now();
    for (i = 0; i < TIMES; i++) {
        enum hvctl_status status = HVCTL_OK;

        for (j = 0; j < changed; j++)
            hvctl_vmcs_put(image, fields[j], i + 1, &status);
        if (status != HVCTL_OK || hvctl_vmcs_store(image, count_write, NULL, NULL) != HVCTL_OK)
            bench_wrong(job, "hvctl", "store");
    }
    bench_print(job, "image", "hvctl", (double)(bench_now() - start) / TIMES, 0, 0);
    if (writes != (uint64_t)changed * TIMES)
        bench_wrong(job, "hvctl", "not one vmwrite for each change");
}

void bench_control(void)
{
    struct hvctl_vmcs_image *image = malloc(sizeof *image);
    struct hvctl_vmcb *vmcb = aligned_alloc(4096, 4096);
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);
    struct hvctl_vmx_caps caps;
    uint64_t start, i;

    /* A CPU that has everything. */
    memset(&caps, 0, sizeof caps);
    caps.pin = caps.primary = caps.secondary = caps.exit = caps.entry = ~UINT64_C(0) << 32;
    caps.cr0_fixed0 = HVCTL_CR0_PE | HVCTL_CR0_PG | HVCTL_CR0_NE;
    caps.cr0_fixed1 = caps.cr4_fixed1 = ~UINT64_C(0);
    hvctl_vmcs_image_init(image, NULL);
    if (hvctl_vmcs_store(image, count_write, NULL, NULL) != HVCTL_OK)
        bench_wrong("VMCS", "hvctl", "store");
    store_changed(image, 0);
    store_changed(image, 1);
    store_changed(image, 4);
    store_changed(image, 16);

    start = bench_now();
    for (i = 0; i < TIMES; i++) {
        state.rip = i;
        if (hvctl_vmx_guest_write(image, &caps, &state) != HVCTL_OK)
            bench_wrong("VMCS", "hvctl", "guest state");
        hvctl_vmcs_touch_all(image);
        if (hvctl_vmcs_store(image, count_write, NULL, NULL) != HVCTL_OK)
            bench_wrong("VMCS", "hvctl", "store");
    }
    bench_print("a guest's state into a VMCS image, all of it stored", "VMCS", "hvctl",
                (double)(bench_now() - start) / TIMES, 0, 0);

    start = bench_now();
    for (i = 0; i < TIMES; i++) {
        state.rip = i;
        hvctl_vmcb_zero(vmcb);
        hvctl_svm_guest_write(vmcb, &state);
        if (vmcb->save.rip != i)
            bench_wrong("VMCB", "hvctl", "rip");
    }
    bench_print("a guest's state into a VMCB", "VMCB", "hvctl", (double)(bench_now() - start) / TIMES, 0, 0);
    free(image);
    free(vmcb);
}
