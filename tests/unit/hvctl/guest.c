/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * Segments and the state in which a guest begins. SDM vol. 3, "Segment Descriptors", "Guest Register State", "Checks on
 * the Guest State Area"; APM vol. 2, "Segment State in the VMCB".
 */
#include <hvctl/svm/guest.h>
#include <hvctl/vmx/guest.h>

#include "support/models.h"

static struct hvctl_vmcs_image image;
static struct hvctl_vmx_caps caps;
static struct hvctl_vmcb vmcb;

/* Descriptors as every kernel has them, and what they mean in the manual's figure. */
Test(segment, well_known_descriptors_come_apart)
{
    struct hvctl_segment s = hvctl_segment_from_descriptor(0x08, UINT64_C(0x00af9b000000ffff), 0);

    cr_expect(s.base == 0 && s.limit == 0xffffffff && s.rights == 0xa09b && s.selector == 8);
    s = hvctl_segment_from_descriptor(0x10, UINT64_C(0x00cf93000000ffff), 0);
    cr_expect(s.base == 0 && s.limit == 0xffffffff && s.rights == 0xc093);
    s = hvctl_segment_from_descriptor(0x18, UINT64_C(0x12008b3456780067), UINT64_C(0xffff8000));
    cr_expect(s.base == UINT64_C(0xffff800012345678) && s.limit == 0x67 && s.rights == 0x8b);
    s = hvctl_segment_from_descriptor(0x1b, UINT64_C(0x0040f2000000ffff), UINT64_C(0xdead));
    cr_expect(s.base == 0 && s.limit == 0xffff && s.rights == 0x40f2);
    s = hvctl_segment_from_descriptor(0, UINT64_C(0x00cf93000000ffff), 0);
    cr_expect(s.rights & HVCTL_RIGHTS_UNUSABLE);
    s = hvctl_segment_from_descriptor(0x10, UINT64_C(0x00cf13000000ffff), 0);
    cr_expect(s.rights & HVCTL_RIGHTS_UNUSABLE);
}

Test(segment, a_descriptor_survives_the_round_trip)
{
    uint64_t low = 0, high;

    for (unsigned i = 0; i < 100000; i++) {
        struct hvctl_segment s;
        uint64_t back;

        low += UINT64_C(0x9e3779b97f4a7c15);
        high = low >> 17 & 0xffffffff;
        s = hvctl_segment_from_descriptor(8, low, high);
        back = hvctl_segment_to_descriptor(&s, &high);
        cr_assert_eq(back, low, "%llx", (unsigned long long)low);
        cr_assert_eq(high, low >> 44 & 1 ? 0 : low >> 17 & 0xffffffff);
        cr_assert_eq(hvctl_segment_to_descriptor(&s, NULL), low);
    }
}

Test(segment, rights_and_attributes_are_the_same_bits_closed_up)
{
    for (uint32_t attrib = 0; attrib < 0x1000; attrib++) {
        uint32_t rights = hvctl_attrib_to_rights((uint16_t)attrib);

        cr_assert_eq(rights & 0xff, attrib & 0xff);
        cr_assert_eq(rights >> 12 & 15, attrib >> 8);
        cr_assert_eq(rights >> 16, attrib & 0x80 ? 0u : 1u);
        cr_assert_eq(rights & 0xf00, 0);
        cr_assert_eq(hvctl_rights_to_attrib(rights), attrib & 0x80 ? attrib : 0);
    }
}

static void begin(bool unrestricted)
{
    struct hvctl_vmx_controls required = {{0}};
    static struct hvctl_vmx_solution solution;

    model_caps("tigerlake", &caps);
    hvctl_vmcs_image_init(&image, &caps);
    hvctl_vmx_controls_add(&required, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    if (unrestricted)
        hvctl_vmx_controls_add(&required, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    cr_assert_eq(hvctl_vmx_solve(&required, NULL, &caps, &solution), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &solution.controls), HVCTL_OK);
}

static uint64_t field(uint32_t encoding)
{
    return hvctl_vmcs_get(&image, encoding);
}

/*
 * SDM vol. 3, "Checks on Guest Segment Registers": what VM entry demands of the access rights, outside virtual-8086
 * mode. Written from the manual's list, to be kept by every preset.
 */
static void expect_segments_that_vm_entry_takes(bool long_mode)
{
    static const unsigned number[] = {0, 1, 2, 3, 4, 5, 6, 7};

    for (unsigned i = 0; i < 8; i++) {
        uint64_t rights = field(0x4814 + 2 * number[i]), limit = field(0x4800 + 2 * number[i]),
                 base = field(0x6806 + 2 * number[i]);
        bool system = i >= 6;

        if (rights >> 16 & 1) {
            cr_expect(i != 1 && i != 7, "CS and TR are usable");
            continue;
        }
        cr_expect_eq(rights & 0xfffe0f00, 0);
        cr_expect(rights & 0x80);
        cr_expect_eq(rights >> 4 & 1, !system);
        if (rights & 0x8000)
            cr_expect_eq(limit & 0xfff, 0xfff);
        else
            cr_expect_eq(limit >> 20, 0);
        if (!system)
            cr_expect(rights & 1, "accessed");
        if (i != 4 && i != 5 && !system)
            cr_expect_eq(base >> 32, 0);
    }
    cr_expect_eq(field(HVCTL_VMCS_GUEST_LDTR_ACCESS_RIGHTS) >> 16 ? 2 : field(HVCTL_VMCS_GUEST_LDTR_ACCESS_RIGHTS) & 15,
                 2);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS) & 15, 11);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_TR_SELECTOR) & 4, 0);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) >> 13 & 1, long_mode);
    if (long_mode)
        cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS) >> 14 & 1, 0);
    cr_expect(field(HVCTL_VMCS_GUEST_RFLAGS) == 2);
    cr_expect(field(HVCTL_VMCS_GUEST_ACTIVITY_STATE) == 0 && field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE) == 0);
    cr_expect_eq(field(HVCTL_VMCS_VMCS_LINK_POINTER), UINT64_MAX);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_DR7), 0x400);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_GDTR_LIMIT) >> 16, 0);
}

Test(guest, real_mode_begins_where_it_is_told)
{
    struct hvctl_guest_state state = hvctl_guest_real_mode(0x1000, 0x20);

    begin(true);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    expect_segments_that_vm_entry_takes(false);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_SELECTOR), 0x100);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_BASE), 0x1000);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RIP), 0x20);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x30);
    cr_expect_eq(field(HVCTL_VMCS_CR0_READ_SHADOW), 0x10);
    cr_expect_eq(field(HVCTL_VMCS_CR0_GUEST_HOST_MASK), 0x20);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR4), 0x2000);
    cr_expect_eq(field(HVCTL_VMCS_CR4_READ_SHADOW), 0);
    cr_expect_eq(field(HVCTL_VMCS_CR4_GUEST_HOST_MASK), 0x2000);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1, 0);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_IA32_PAT), UINT64_C(0x0007040600070406));
}

/* SDM vol. 3, "Processor State After Reset". */
Test(guest, reset_is_the_state_of_the_manual)
{
    struct hvctl_guest_state state = hvctl_guest_reset();

    cr_expect(state.cr0 == 0x60000010 && state.rip == 0xfff0 && state.rflags == 2 && state.cr4 == 0 && state.cr3 == 0);
    cr_expect(state.cs.selector == 0xf000 && state.cs.base == 0xffff0000 && state.cs.limit == 0xffff);
    cr_expect(state.ds.base == 0 && state.ds.limit == 0xffff && state.dr7 == 0x400 && state.efer == 0);
    begin(true);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    expect_segments_that_vm_entry_takes(false);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x60000030);
}

Test(guest, flat32_has_protection_and_no_paging)
{
    struct hvctl_guest_state state = hvctl_guest_flat32(0x100000, 0x90000);

    begin(true);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    expect_segments_that_vm_entry_takes(false);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x31);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS), 0xc09b);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS), 0xc093);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_RSP), 0x90000);
}

Test(guest, long64_turns_the_entry_control_on_and_others_turn_it_off)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x5000, UINT64_C(0xffffffff80000000), 0x9000);

    begin(false);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    expect_segments_that_vm_entry_takes(true);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS) >> 9 & 1, 1);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR0), 0x80010031);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR4), 0x2020);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_IA32_EFER), 0xd00);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS), 0xa09b);
    begin(true);
    state = hvctl_guest_flat32(0, 0);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_VM_ENTRY_CONTROLS, 0x13fb), HVCTL_OK);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_VM_ENTRY_CONTROLS), 0x11fb);
}

Test(guest, what_the_controls_do_not_allow_is_refused)
{
    struct hvctl_guest_state state = hvctl_guest_real_mode(0, 0x7c00);

    begin(false);
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE);
    state = hvctl_guest_flat32(0, 0);
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE);
    state = hvctl_guest_long64(0, 0, 0);
    caps.true_entry &= ~(UINT64_C(1) << (32 + 9));
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_CONTROL);
}

static bool same_segment(const struct hvctl_segment *a, const struct hvctl_segment *b)
{
    return a->selector == b->selector && a->base == b->base && a->limit == b->limit && a->rights == b->rights;
}

static void expect_same(const struct hvctl_guest_state *a, const struct hvctl_guest_state *b)
{
    cr_expect(a->cr0 == b->cr0 && a->cr3 == b->cr3 && a->cr4 == b->cr4 && a->efer == b->efer);
    cr_expect(a->rip == b->rip && a->rsp == b->rsp && a->rflags == b->rflags && a->dr7 == b->dr7 && a->pat == b->pat);
    cr_expect(same_segment(&a->es, &b->es) && same_segment(&a->cs, &b->cs) && same_segment(&a->ss, &b->ss));
    cr_expect(same_segment(&a->ds, &b->ds) && same_segment(&a->fs, &b->fs) && same_segment(&a->gs, &b->gs));
    cr_expect(same_segment(&a->ldtr, &b->ldtr) && same_segment(&a->tr, &b->tr));
    cr_expect(a->gdtr.base == b->gdtr.base && a->gdtr.limit == b->gdtr.limit);
    cr_expect(a->idtr.base == b->idtr.base && a->idtr.limit == b->idtr.limit);
    cr_expect(a->sysenter_cs == b->sysenter_cs && a->sysenter_esp == b->sysenter_esp
              && a->sysenter_eip == b->sysenter_eip);
}

/* A state in which every member is different from every other. */
static struct hvctl_guest_state distinct(void)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x123000, 0x456, 0x789);
    struct hvctl_segment *segment[] = {&state.es, &state.cs, &state.ss, &state.ds, &state.fs, &state.gs, &state.tr};

    for (unsigned i = 0; i < sizeof(segment) / sizeof(segment[0]); i++) {
        segment[i]->selector = (uint16_t)(0x10 + 8 * i);
        segment[i]->base = 0x1000 * (i + 1);
        segment[i]->limit = 0xfff | i << 12;
    }
    state.gdtr = hvctl_segment_make(0, 0x11111000, 0x7f, 0);
    state.idtr = hvctl_segment_make(0, 0x22222000, 0xfff, 0);
    state.sysenter_cs = 0x30;
    state.sysenter_esp = 0x31;
    state.sysenter_eip = 0x32;
    state.rflags = 0x202;
    state.dr7 = 0x401;
    state.pat = 0x0606060606060606;
    return state;
}

Test(guest, a_state_written_to_either_vendor_reads_back)
{
    struct hvctl_guest_state states[] = {hvctl_guest_real_mode(0x7c0, 0x10), hvctl_guest_reset(),
                                         hvctl_guest_flat32(0x1000, 0x2000), hvctl_guest_long64(1, 2, 3), distinct()};

    for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        struct hvctl_guest_state back;

        begin(true);
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &states[i]), HVCTL_OK);
        back = hvctl_vmx_guest_read(&image);
        expect_same(&back, &states[i]);
        hvctl_vmcb_zero(&vmcb);
        hvctl_svm_guest_write(&vmcb, &states[i]);
        back = hvctl_svm_guest_read(&vmcb);
        expect_same(&back, &states[i]);
    }
}

Test(guest, the_vmcb_gets_what_vmrun_demands_and_loses_its_clean_bits)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x5000, 0x6000, 0x7000);

    hvctl_vmcb_zero(&vmcb);
    hvctl_vmcb_mark_clean(&vmcb);
    state.ss.rights |= 3 << 5;
    hvctl_svm_guest_write(&vmcb, &state);
    cr_expect_eq(vmcb.save.efer, 0x1d00);
    cr_expect_eq(vmcb.save.cs.attrib, 0xa9b);
    cr_expect_eq(vmcb.save.ldtr.attrib, 0);
    cr_expect_eq(vmcb.save.cpl, 3);
    cr_expect_eq(vmcb.save.dr6, 0xffff0ff0);
    /* NP (g_pat), CRX, DRX, DT, SEG and CR2 are to be read again; the rest is as it was */
    cr_expect_eq(vmcb.control.vmcb_clean, 0x1fff & ~0x3f0);
    state = hvctl_guest_real_mode(0, 0);
    state.ss.rights |= 3 << 5;
    hvctl_svm_guest_write(&vmcb, &state);
    cr_expect_eq(vmcb.save.cpl, 0);
}
