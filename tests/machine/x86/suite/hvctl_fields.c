/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The VMCS image against the CPU's own VMCS: which fields there are, that each keeps what is written, and that a store
 * writes what changed and nothing else.
 */
#include "hvctl_lab.h"

#include "console.h"
#include "memory.h"

/*
 * How many fields VMREAD finds on each of Bochs' models, counted once by reading every encoding; told apart by the
 * allowed-1 half of IA32_VMX_PROCBASED_CTLS2 and by IA32_VMX_BASIC[56], as the models' description says.
 */
static const struct {
    uint32_t secondary;
    bool any_error_code;
    unsigned fields;
    const char *model;
} models[] = {
    {0x00047fff, false, 147, "haswell_4770"}, {0x02177fff, false, 151, "skylake_x"}, {0x02157cff, false, 144, "cnl"},
    {0x02977fff, false, 152, "icelake_u"},    {0x02977fff, true, 158, "tigerlake"},
};

static struct hvctl_vmcs_image written, read;

/* A field a VMREAD: both ways round, so that neither the table nor the CPU has one more. */
static void check_count(void)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    const struct hvctl_vmx_caps *caps = vmx_caps();
    uint32_t secondary = (uint32_t)(caps->secondary >> 32);
    unsigned have = 0, predicted = 0, i;

    for (uint32_t encoding = 0; encoding < 0x8000; encoding++) {
        uint64_t value;
        bool reads = (encoding & 1) == 0 && ops->vmread(ops->ctx, encoding, &value);
        bool exists = (encoding & 1) == 0 && hvctl_vmcs_field_exists(encoding, caps);

        have += reads;
        predicted += exists;
        if (reads != exists)
            print("field %x: VMREAD says %u, the capabilities %u\n", encoding, reads, exists);
        if ((encoding & 1) != 0 && hvctl_vmcs_field_exists(encoding & ~1u, caps)
            && hvctl_vmcs_decode(encoding).width == HVCTL_WIDTH_64 && !ops->vmread(ops->ctx, encoding, &value))
            print("field %x: the high half cannot be read\n", encoding);
    }
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (models[i].secondary == secondary
            && models[i].any_error_code == ((caps->basic & HVCTL_VMX_BASIC_HW_EXCEPTION_ANY_ERROR_CODE) != 0))
            break;
    if (i == sizeof(models) / sizeof(models[0])) {
        check_skip("a model whose fields nobody has counted", "how many fields there are");
    } else {
        check_equal(have, models[i].fields, "fields that VMREAD finds on %s", models[i].model);
        check_equal(predicted, models[i].fields, "fields that the capabilities predict for %s", models[i].model);
    }
}

/*
 * Bits that a CPU need not keep: of access rights those that are reserved (SDM vol. 3, "Guest Register State": some
 * CPUs do not implement them).
 */
static uint64_t kept(uint32_t field)
{
    unsigned bits = hvctl_vmcs_width_bits(hvctl_vmcs_decode(field).width);

    if (field >= HVCTL_VMCS_GUEST_ES_ACCESS_RIGHTS && field <= HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS)
        return 0x1f0ff;
    return bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
}

static uint64_t pattern(uint32_t field, unsigned round)
{
    uint64_t value = (field + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return (round == 0 ? value : round == 1 ? ~value : round == 2 ? 0 : ~UINT64_C(0)) & kept(field);
}

static unsigned writes;

static bool counting_vmwrite(void *ctx, uint32_t encoding, uint64_t value)
{
    writes++;
    return vmx_ops()->vmwrite(ctx, encoding, value);
}

/* Every field that may be written holds every bit of two patterns, zeros and ones; all at once, so that none is
 * another's. */
static void check_patterns(void)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    const struct hvctl_vmx_caps *caps = vmx_caps();

    for (unsigned round = 0; round < 4; round++) {
        unsigned fields = 0, refused = 0, different = 0;
        uint32_t failed = 0;

        hvctl_vmcs_image_init(&written, caps);
        for (uint32_t field = 0; field < 0x8000; field += 2) {
            bool exit_info = hvctl_vmcs_decode(field).type == HVCTL_TYPE_EXIT_INFO;

            if (!hvctl_vmcs_has(&written, field) || (exit_info && !written.exit_info_writable))
                continue;
            fields++;
            if (hvctl_vmcs_write(&written, field, pattern(field, round)) != HVCTL_OK)
                refused++;
        }
        writes = 0;
        check_equal(refused, 0, "pattern %u: the image takes every field", round);
        check_equal(hvctl_vmcs_store(&written, counting_vmwrite, ops->ctx, &failed), HVCTL_OK,
                    "pattern %u: the CPU takes every field", round);
        check_equal(writes, fields, "pattern %u: a VMWRITE a field", round);
        hvctl_vmcs_image_init(&read, caps);
        check_equal(hvctl_vmcs_load(&read, HVCTL_VMCS_LOAD_ALL, ops->vmread, ops->ctx, &failed), HVCTL_OK,
                    "pattern %u: every field can be read back", round);
        for (uint32_t field = 0; field < 0x8000; field += 2) {
            uint64_t value;

            if (!hvctl_vmcs_has(&written, field)
                || (hvctl_vmcs_decode(field).type == HVCTL_TYPE_EXIT_INFO && !written.exit_info_writable))
                continue;
            /* Not through the image: the CPU's own word */
            if (!ops->vmread(ops->ctx, field, &value) || value != pattern(field, round)
                || hvctl_vmcs_get(&read, field) != value) {
                different++;
                print("%s: wrote %lx, the CPU has %lx, the image %lx\n", hvctl_vmcs_field_name(field),
                      pattern(field, round), value, hvctl_vmcs_get(&read, field));
            }
        }
        check_equal(different, 0, "pattern %u: every field reads back as written", round);
    }
}

/* The high half of each 64-bit field, written through the image and through the CPU. */
static void check_high_halves(void)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    unsigned different = 0;

    for (uint32_t field = 0x2000; field < 0x3000; field += 2) {
        uint64_t value = 0, high = 0;

        if (!hvctl_vmcs_has(&written, field) || hvctl_vmcs_decode(field).type == HVCTL_TYPE_EXIT_INFO)
            continue;
        if (hvctl_vmcs_write(&written, field, UINT64_C(0x1122334455667788)) != HVCTL_OK
            || hvctl_vmcs_write(&written, field + 1, 0xa5a5a5a5) != HVCTL_OK
            || hvctl_vmcs_store(&written, ops->vmwrite, ops->ctx, NULL) != HVCTL_OK
            || !ops->vmread(ops->ctx, field, &value) || value != UINT64_C(0xa5a5a5a555667788)
            || !ops->vmread(ops->ctx, field + 1, &high) || high != 0xa5a5a5a5)
            different++;
    }
    check_equal(different, 0, "high halves: the image's and the CPU's are the same");
}

/* What is not dirty is not written, whatever the image holds; what a store wrote is not written again. */
static void check_what_changed(void)
{
    static const struct {
        uint32_t field;
        const char *name;
    } some[] = {{HVCTL_VMCS_GUEST_RIP, "GUEST_RIP"},
                {HVCTL_VMCS_GUEST_CS_SELECTOR, "GUEST_CS_SELECTOR"},
                {HVCTL_VMCS_TSC_OFFSET, "TSC_OFFSET"},
                {HVCTL_VMCS_HOST_CR3, "HOST_CR3"},
                {HVCTL_VMCS_CR0_READ_SHADOW, "CR0_READ_SHADOW"}};
    const struct hvctl_cpu_ops *ops = vmx_ops();
    unsigned others = 0;

    check_equal(hvctl_vmcs_load(&written, HVCTL_VMCS_LOAD_ALL, ops->vmread, ops->ctx, NULL), HVCTL_OK,
                "the whole VMCS can be loaded");
    writes = 0;
    check_equal(hvctl_vmcs_store(&written, counting_vmwrite, ops->ctx, NULL), HVCTL_OK, "nothing changed: store");
    check_equal(writes, 0, "nothing changed: no VMWRITE");
    read = written;
    for (unsigned i = 0; i < 5; i++) {
        check_equal(hvctl_vmcs_write(&written, some[i].field, 0x1230 + i), HVCTL_OK, "%s is changed", some[i].name);
        writes = 0;
        check_equal(hvctl_vmcs_store(&written, counting_vmwrite, ops->ctx, NULL), HVCTL_OK, "%s: store", some[i].name);
        check_equal(writes, 1, "%s: one VMWRITE", some[i].name);
    }
    for (uint32_t field = 0; field < 0x8000; field += 2) {
        uint64_t value;
        bool changed = false;

        for (unsigned i = 0; i < 5; i++)
            changed = changed || field == some[i].field;
        if (hvctl_vmcs_has(&read, field) && !changed
            && (!ops->vmread(ops->ctx, field, &value) || value != hvctl_vmcs_get(&read, field)))
            others++;
    }
    check_equal(others, 0, "the other fields are what they were");
    writes = 0;
    check_equal(hvctl_vmcs_store(&written, counting_vmwrite, ops->ctx, NULL), HVCTL_OK, "stored once: store");
    check_equal(writes, 0, "stored once: no VMWRITE");
}

void suite_hvctl_fields(struct frames *frames)
{
    struct vm vm;

    check_group("VMCS image");
    vm_create(&vm, frames, NULL);
    check_count();
    check_patterns();
    check_high_halves();
    check_what_changed();
    vm_destroy(&vm);
    check_equal(frames->held, 0, "every frame came back");
}
