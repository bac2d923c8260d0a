/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * A guest's state kept: read from either vendor and written to either, with the checkers of VM entry and VMRUN as
 * judges. What the members are to be is from APM vol. 2, "Segment State in the VMCB", and SDM vol. 3, "Guest-State
 * Area", "Checks on the Guest State Area".
 */
#include <hvctl/cpu/guest_msrs.h>
#include <hvctl/svm/check.h>
#include <hvctl/svm/guest.h>
#include <hvctl/vmx/check.h>
#include <hvctl/vmx/guest.h>

#include "chance.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct hvctl_vmx_caps caps;
static struct hvctl_svm_caps svm_caps;
static struct hvctl_vmcs_image image;
static struct hvctl_vmcb vmcb;
static struct hvctl_report report;

/* A CPU with every control, 48 bits of linear address, 40 of physical. */
static void fill_caps(void)
{
    memset(&caps, 0, sizeof(caps));
    caps.basic = UINT64_C(0x00da10000000002b) & ~HVCTL_VMX_BASIC_TRUE_CONTROLS;
    caps.pin = UINT64_C(0x7fffffff00000002);
    caps.primary = UINT64_C(0xfffffffe00000000);
    caps.secondary = UINT64_C(0xdfffffff00000000);
    caps.tertiary = caps.exit2 = UINT64_C(0x7fffffffffffffff);
    caps.exit = UINT64_C(0xfffffffe00000000);
    caps.entry = UINT64_C(0x7fffffff00000000);
    caps.misc = 0x000401c0;
    caps.cr0_fixed0 = 0x80000021;
    caps.cr0_fixed1 = 0xffffffff;
    caps.cr4_fixed0 = 0x2000;
    caps.cr4_fixed1 = UINT64_C(0x101ff7fff);
    caps.ept_vpid_cap =
        HVCTL_EPT_CAP_PAGE_WALK_LENGTH_4 | HVCTL_EPT_CAP_MEMORY_TYPE_WB | HVCTL_EPT_CAP_ACCESSED_DIRTY;
    caps.cpu.maxphyaddr = 40;
    caps.cpu.linear_bits = 48;
    caps.cpu.long_mode = caps.cpu.nx = caps.cpu.fred = true;
    memset(&svm_caps, 0, sizeof(svm_caps));
    svm_caps.cpu = caps.cpu;
    svm_caps.asids = 16;
    svm_caps.edx = 1u << HVCTL_SVM_NP | 1u << HVCTL_SVM_VNMI;
}

/* An image to which only a guest's state is missing, with unrestricted guest. */
static void fresh_image(void)
{
    struct hvctl_vmx_controls on = {{0}};

    fill_caps();
    hvctl_vmcs_image_init(&image, &caps);
    on.word[HVCTL_GROUP_PIN] |= 2;
    hvctl_vmx_controls_add(&on, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS);
    hvctl_vmx_controls_add(&on, HVCTL_SECONDARY_ENABLE_EPT);
    hvctl_vmx_controls_add(&on, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    hvctl_vmx_controls_add(&on, HVCTL_ENTRY_LOAD_IA32_EFER);
    hvctl_vmx_controls_add(&on, HVCTL_ENTRY_LOAD_IA32_PAT);
    hvctl_vmx_controls_add(&on, HVCTL_ENTRY_LOAD_DEBUG_CONTROLS);
    hvctl_vmx_controls_add(&on, HVCTL_EXIT_LOAD_IA32_EFER);
    hvctl_vmx_controls_add(&on, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    cr_assert_eq(hvctl_vmx_controls_write(&image, &on), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_EPT_POINTER, 0x105e), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_CR0, 0x80010031), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_CR4, 0x2020), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_CR3, 0x1000), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_IA32_EFER, 0x500), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_CS_SELECTOR, 8), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_TR_SELECTOR, 0x18), HVCTL_OK);
    cr_assert_eq(hvctl_vmcs_write(&image, HVCTL_VMCS_HOST_IA32_PAT, HVCTL_PAT_RESET), HVCTL_OK);
}

static void fresh_vmcb(void)
{
    fill_caps();
    hvctl_vmcb_zero(&vmcb);
    cr_assert_eq(hvctl_vmcb_intercept(&vmcb, HVCTL_SVM_EXIT_VMRUN, true), HVCTL_OK);
    hvctl_vmcb_set_guest_asid(&vmcb, 1);
    hvctl_vmcb_set_nested_paging(&vmcb, 0x1000, HVCTL_PAT_RESET);
}

static uint64_t field(uint32_t encoding)
{
    return hvctl_vmcs_get(&image, encoding);
}

static void put(uint32_t encoding, uint64_t value)
{
    cr_assert_eq(hvctl_vmcs_write(&image, encoding, value), HVCTL_OK);
}

static const char *broken(void)
{
    static char bytes[4096];
    struct hvpt_text_buffer buffer;
    struct hvpt_text text = hvpt_text_into(&buffer, bytes, sizeof(bytes));

    hvctl_report_text(&report, &text);
    return bytes;
}

static bool one_in(unsigned n)
{
    return chance() % n == 0;
}

/* ---- CPL: APM vol. 2, "Segment State in the VMCB": a field of its own, ignored in real and virtual-8086 mode ---- */

Test(state, cpl_is_a_field_of_its_own_on_svm)
{
    struct hvctl_guest_state state;
    static const struct {
        uint64_t cr0, rflags;
        uint8_t cpl;
        uint16_t attrib;
        uint8_t expected;
    } cases[] = {
        {HVCTL_CR0_PE, 2, 3, 0xc93, 3}, {HVCTL_CR0_PE, 2, 0, 0xcf3, 0}, {HVCTL_CR0_PE, 2, 3, 0, 3},
        {HVCTL_CR0_PE, 2, 1, 0xc93, 1}, {0, 2, 3, 0x93, 0},             {HVCTL_CR0_PE, 0x20002, 0, 0x93, 3},
        {HVCTL_CR0_PE, 0x20002, 3, 0xc93, 3},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fresh_vmcb();
        vmcb.save.cr0 = cases[i].cr0;
        vmcb.save.rflags = cases[i].rflags;
        vmcb.save.cpl = cases[i].cpl;
        vmcb.save.ss.attrib = cases[i].attrib;
        state = hvctl_svm_guest_read(&vmcb);
        cr_expect_eq(hvctl_guest_cpl(&state), cases[i].expected, "case %u", i);
        hvctl_vmcb_zero(&vmcb);
        (void)hvctl_svm_guest_write(&vmcb, &state);
        cr_expect_eq(vmcb.save.cpl, cases[i].expected, "case %u", i);
    }
}

/*
 * Virtual-8086 mode is CPL 3 whatever the segments say. APM vol. 2, "Canonicalization and Consistency Checks" and "Segment
 * State in the VMCB"; a state of VMX's has it in rflags alone.
 */
Test(state, virtual_8086_mode_is_user_mode_on_svm)
{
    for (unsigned dpl = 0; dpl < 4; dpl++) {
        struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000), back;

        state.efer = 0;
        state.cr4 = 0;
        state.rflags = 0x20002;
        state.ss.rights = (state.ss.rights & ~(UINT32_C(3) << HVCTL_RIGHTS_DPL_SHIFT)) | dpl << HVCTL_RIGHTS_DPL_SHIFT;
        fresh_vmcb();
        (void)hvctl_svm_guest_write(&vmcb, &state);
        cr_expect_eq(vmcb.save.cpl, 3, "DPL %u: written", dpl);
        vmcb.save.cpl = 0;
        back = hvctl_svm_guest_read(&vmcb);
        cr_expect_eq(hvctl_guest_cpl(&back), 3, "DPL %u: read", dpl);
        state.rflags = 2;
        (void)hvctl_svm_guest_write(&vmcb, &state);
        cr_expect_eq(vmcb.save.cpl, dpl, "DPL %u: protected mode", dpl);
    }
}

/* SDM vol. 3, "Checks on Guest Non-Register State": no blocking by STI with IF 0, and not both at once. */
Test(state, an_interrupt_shadow_without_if_is_blocking_by_mov_ss)
{
    static const struct {
        uint64_t blocking, rflags, expected;
    } cases[] = {
        {0, 0x2, 0},       {0, 0x202, 0},
        {HVCTL_BLOCKING_STI, 0x202, 1},
        {HVCTL_BLOCKING_STI, 0x2, 2},
        {HVCTL_BLOCKING_MOV_SS, 0x202, 2},
        {HVCTL_BLOCKING_MOV_SS, 0x2, 2},
        {HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS, 0x202, 2},
        {HVCTL_BLOCKING_STI | HVCTL_BLOCKING_MOV_SS, 0x2, 2},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

        fresh_image();
        state.rflags = cases[i].rflags;
        state.interruptibility = cases[i].blocking;
        cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK, "case %u", i);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE), cases[i].expected, "case %u", i);
    }
}

/* ---- nothing is lost: SDM vol. 3, "Guest-State Area", all of it that this CPU has ---- */

Test(state, a_vmcs_guest_state_comes_back_field_by_field)
{
    static const struct {
        uint32_t encoding;
        uint64_t value;
    } kept[] = {
        {HVCTL_VMCS_GUEST_PDPTE0, 0x6001},
        {HVCTL_VMCS_GUEST_PDPTE1, 0x7001},
        {HVCTL_VMCS_GUEST_PDPTE2, 0},
        {HVCTL_VMCS_GUEST_PDPTE3, 0x9001},
        {HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, HVCTL_BLOCKING_STI | HVCTL_BLOCKING_NMI},
        {HVCTL_VMCS_GUEST_ACTIVITY_STATE, 0},
        {HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS, 0x1002},
        {HVCTL_VMCS_GUEST_IA32_DEBUGCTL, 1},
        {HVCTL_VMCS_GUEST_IA32_S_CET, 0x3},
        {HVCTL_VMCS_GUEST_SSP, 0x8000},
        {HVCTL_VMCS_GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, 0x9000},
        {HVCTL_VMCS_GUEST_IA32_PKRS, 0x55},
        {HVCTL_VMCS_GUEST_IA32_PERF_GLOBAL_CTRL, 3},
        {HVCTL_VMCS_GUEST_IA32_SPEC_CTRL, 5},
        {HVCTL_VMCS_GUEST_IA32_BNDCFGS, 0x3001},
        {HVCTL_VMCS_GUEST_IA32_RTIT_CTL, 0x2008},
        {HVCTL_VMCS_GUEST_IA32_LBR_CTL, 3},
        {HVCTL_VMCS_GUEST_UINV, 0xec},
        {HVCTL_VMCS_GUEST_IA32_FRED_CONFIG, 0x1000},
        {HVCTL_VMCS_GUEST_IA32_FRED_RSP1, 0x2040},
        {HVCTL_VMCS_GUEST_IA32_FRED_RSP2, 0x3040},
        {HVCTL_VMCS_GUEST_IA32_FRED_RSP3, 0x4040},
        {HVCTL_VMCS_GUEST_IA32_FRED_STKLVLS, 0x1234},
        {HVCTL_VMCS_GUEST_IA32_FRED_SSP1, 0x5008},
        {HVCTL_VMCS_GUEST_IA32_FRED_SSP2, 0x6008},
        {HVCTL_VMCS_GUEST_IA32_FRED_SSP3, 0x7008},
        {HVCTL_VMCS_GUEST_CR0, 0x80000031},
        {HVCTL_VMCS_GUEST_CR4, 0x2020},
        {HVCTL_VMCS_GUEST_CR3, 0x5000},
        {HVCTL_VMCS_GUEST_RFLAGS, 0x202},
        {HVCTL_VMCS_GUEST_DR7, 0x401},
        {HVCTL_VMCS_GUEST_IA32_PAT, 0x0606060606060606},
    };
    struct hvctl_guest_state state = hvctl_guest_flat32(0x1000, 0x2000);

    fresh_image();
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        put(kept[i].encoding, kept[i].value);
    hvctl_vmx_check(&image, &caps, &report);
    cr_assert_eq(report.broken, 0, "%s", broken());
    state = hvctl_vmx_guest_read(&image);
    cr_expect_eq(state.known, HVCTL_KNOWS_ALL & ~(HVCTL_KNOWS_CR2 | HVCTL_KNOWS_DR6 | HVCTL_KNOWS_SYSCALL
                                                   | HVCTL_KNOWS_FRED_RSP0));
    fresh_image();
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        cr_expect_eq(field(kept[i].encoding), kept[i].value, "%s: %llx", hvctl_vmcs_field_name(kept[i].encoding),
                     (unsigned long long)field(kept[i].encoding));
}

Test(state, a_halt_is_kept_where_the_cpu_has_it)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

    fresh_image();
    state.activity = HVCTL_ACTIVITY_HLT;
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_ACTIVITY_STATE), 1);
    cr_expect_eq(hvctl_vmx_guest_read(&image).activity, 1);
    caps.misc = 0;
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE);
    fresh_vmcb();
    cr_expect_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_E_MODE, "the VMCB cannot say that a guest is halted");
}

Test(state, a_vmcb_s_state_comes_back_field_by_field)
{
    static const size_t kept[] = {
        offsetof(struct hvctl_vmcb_save, cr2),    offsetof(struct hvctl_vmcb_save, dr6),
        offsetof(struct hvctl_vmcb_save, star),   offsetof(struct hvctl_vmcb_save, lstar),
        offsetof(struct hvctl_vmcb_save, cstar),  offsetof(struct hvctl_vmcb_save, sfmask),
        offsetof(struct hvctl_vmcb_save, kernel_gs_base),
        offsetof(struct hvctl_vmcb_save, s_cet),  offsetof(struct hvctl_vmcb_save, ssp),
        offsetof(struct hvctl_vmcb_save, isst_addr),
        offsetof(struct hvctl_vmcb_save, spec_ctrl),
        offsetof(struct hvctl_vmcb_save, fred_rsp0),
        offsetof(struct hvctl_vmcb_save, fred_rsp1), offsetof(struct hvctl_vmcb_save, fred_config),
        offsetof(struct hvctl_vmcb_save, fred_ssp3), offsetof(struct hvctl_vmcb_save, fred_stklvls),
        offsetof(struct hvctl_vmcb_save, cr3),    offsetof(struct hvctl_vmcb_save, dr7),
        offsetof(struct hvctl_vmcb_save, g_pat),  offsetof(struct hvctl_vmcb_save, rip),
        offsetof(struct hvctl_vmcb_save, rsp),    offsetof(struct hvctl_vmcb_save, rflags),
        offsetof(struct hvctl_vmcb_save, sysenter_eip),
    };
    struct hvctl_guest_state state;

    fresh_vmcb();
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        *(uint64_t *)(void *)((char *)&vmcb.save + kept[i]) = 0x1002 + 16 * i;
    vmcb.save.dbgctl = 3;
    hvctl_vmcb_set_virtualization_control(&vmcb, HVCTL_VIRT_LBR | HVCTL_VIRT_FRED);
    hvctl_vmcb_set_interrupt_state(&vmcb, HVCTL_INTERRUPT_SHADOW);
    hvctl_vmcb_virtual_interrupt(&vmcb, HVCTL_VINTR_NMI_ENABLE | HVCTL_VINTR_NMI_MASK, 0);
    hvctl_vmcb_set_rax(&vmcb, 0x77);
    state = hvctl_svm_guest_read(&vmcb);
    hvctl_vmcb_zero(&vmcb);
    hvctl_vmcb_virtual_interrupt(&vmcb, HVCTL_VINTR_NMI_ENABLE, 0);
    hvctl_vmcb_set_rax(&vmcb, 0x88);
    cr_expect_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_OK);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        cr_expect_eq(*(uint64_t *)(void *)((char *)&vmcb.save + kept[i]), 0x1002 + 16 * i, "member at %zx", kept[i]);
    cr_expect_eq(vmcb.save.dbgctl, 3);
    cr_expect_eq(vmcb.control.interrupt_state, HVCTL_INTERRUPT_SHADOW);
    cr_expect(vmcb.control.virtual_interrupt_control & HVCTL_VINTR_NMI_MASK);
    cr_expect_eq(vmcb.save.rax, 0x88, "RAX is with the general registers");
}

/* What nobody read is not invented. */
Test(state, a_state_that_lacks_members_says_so_when_it_is_written)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

    fresh_image();
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    state = hvctl_vmx_guest_read(&image);
    fresh_vmcb();
    hvctl_vmcb_set_star(&vmcb, 0x1234);
    hvctl_vmcb_set_cr2(&vmcb, 0x5678);
    cr_expect_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_E_STATE, "SYSCALL MSRs, CR2 and DR6 are not in a VMCS");
    cr_expect(vmcb.save.star == 0x1234 && vmcb.save.cr2 == 0x5678);

    fresh_vmcb();
    vmcb.save.cr0 = 0x80000011;
    vmcb.save.cr4 = 0x20;
    vmcb.save.cr3 = 0x5000;
    state = hvctl_svm_guest_read(&vmcb);
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_STATE, "PDPTEs are in the guest's memory");
}

static bool read_pdptes(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    cr_assert(size == 32);
    if (physical != 0x5020)
        return false;
    memcpy(bytes, ctx, size);
    return true;
}

Test(state, pdptes_are_loaded_from_the_guests_memory)
{
    uint64_t entry[4] = {0x6001, 0, 0xffffffff00, 0x9019};
    struct hvctl_guest_state state;

    fresh_vmcb();
    vmcb.save.cr0 = 0x80000011;
    vmcb.save.cr4 = 0x20;
    vmcb.save.cr3 = UINT64_C(0xdead00005020); /* 32 bits count */
    state = hvctl_svm_guest_read(&vmcb);
    cr_expect_not(state.known & HVCTL_KNOWS_PDPTES);
    cr_assert_eq(hvctl_guest_load_pdptes(&state, 40, read_pdptes, entry), HVCTL_OK);
    cr_expect_eq(memcmp(state.pdpte, entry, sizeof(entry)), 0);
    entry[3] = 0x9003; /* bit 1 is reserved */
    cr_expect_eq(hvctl_guest_load_pdptes(&state, 40, read_pdptes, entry), HVCTL_E_RANGE);
    cr_expect_eq(state.pdpte[3], 0x9019);
    state.cr3 = 0x6000;
    cr_expect_eq(hvctl_guest_load_pdptes(&state, 40, read_pdptes, entry), HVCTL_E_CPU);
    state.efer = HVCTL_EFER_LMA;
    cr_expect_eq(hvctl_guest_load_pdptes(&state, 40, read_pdptes, entry), HVCTL_OK, "none in long mode");
}

/* ---- across vendors ---- */

/* A guest as SVM's CPUs hold one, in all modes; bits that SVM ignores are anything. Never what VMRUN refuses. */
static void random_vmcb(void)
{
    struct hvctl_vmcb_save *save = &vmcb.save;
    struct hvctl_vmcb_segment *data[] = {&save->es, &save->ds, &save->fs, &save->gs};
    unsigned mode = (unsigned)(chance() % 6); /* real, v86, 32-bit, PAE, compatibility, 64-bit */
    bool long_mode = mode >= 4;
    uint8_t cpl = mode == 0 ? (uint8_t)(chance() % 4) : mode == 1 ? 3 : (uint8_t)(chance() % 4);
    uint16_t rpl = mode <= 1 ? (uint16_t)(chance() % 4) : cpl;

    fresh_vmcb();
    save->efer = HVCTL_EFER_SVME | (long_mode ? HVCTL_EFER_LME | HVCTL_EFER_LMA | HVCTL_EFER_NXE : 0)
               | (one_in(3) ? HVCTL_EFER_TCE : 0) | (one_in(3) ? HVCTL_EFER_SCE : 0);
    save->cr0 = mode == 0 ? HVCTL_CR0_ET : HVCTL_CR0_PE | HVCTL_CR0_ET | (mode == 2 && one_in(2) ? 0 : HVCTL_CR0_PG);
    save->cr4 = long_mode || mode == 3 ? HVCTL_CR4_PAE : 0;
    save->cr3 = (chance() & 0xfffff000) | (!long_mode && one_in(4) ? UINT64_C(0x123) << 48 : 0);
    save->rflags = 2 | (one_in(2) ? 0x200 : 0) | (one_in(4) ? 0x100 : 0) | (mode == 1 ? 0x23000 : 0);
    save->rip = mode == 5 ? chance() & 0x7fffffffffff : chance() & (mode <= 1 ? 0xffff : 0xffffffff);
    save->rsp = chance() & 0xffffffff;
    save->dr6 = 0xffff0ff0;
    save->dr7 = 0x400;
    save->cpl = cpl;
    save->cs.selector = (uint16_t)((chance() & 0xfff8) | rpl);
    save->cs.attrib = (uint16_t)(0x9b | (mode == 5 ? 0x200 : one_in(2) ? 0x400 : 0) | (one_in(2) ? 0x800 : 0));
    if (one_in(3))
        save->cs.attrib &= (uint16_t)~0x80u; /* P of CS is ignored */
    if (one_in(3))
        save->cs.attrib = (uint16_t)((save->cs.attrib & ~0x60) | (cpl << 5));
    if (mode >= 2 && one_in(4))
        save->cs.attrib |= 4; /* conforming */
    save->cs.limit = mode <= 1 ? 0xffff : (uint32_t)(one_in(2) ? 0xffffffff : chance());
    save->cs.base = mode <= 1 ? (uint64_t)save->cs.selector << 4 : chance() & 0xffffffff;
    save->ss.selector = (uint16_t)((chance() & 0xfff8) | rpl);
    save->ss.attrib = (uint16_t)(0x92 | (one_in(2) ? 1 : 0) | (one_in(2) ? 0x400 : 0) | (one_in(2) ? cpl << 5 : 0));
    if (mode == 5 && one_in(2))
        save->ss.attrib = one_in(2) ? 0 : 0x400;
    save->ss.limit = mode <= 1 ? 0xffff : (uint32_t)chance();
    save->ss.base = mode <= 1 ? (uint64_t)save->ss.selector << 4 : chance() & 0xffffffff;
    for (unsigned i = 0; i < 4; i++) {
        data[i]->selector = (uint16_t)((chance() & 0xfff8) | (mode <= 1 ? chance() % 4 : 0));
        data[i]->attrib = mode <= 1     ? 0x93
                        : one_in(4)     ? 0
                        : one_in(3)     ? 0xcf9 /* code, not readable, not accessed */
                                        : (uint16_t)(0xcf2 | chance() % 2);
        data[i]->limit = mode <= 1 ? 0xffff : (uint32_t)(one_in(2) ? 0xffffffff : chance());
        data[i]->base = mode <= 1 ? (uint64_t)data[i]->selector << 4
                      : i >= 2 && long_mode && one_in(2) ? chance() | UINT64_C(0xffff800000000000)
                                                        : chance() & 0xffffffff;
    }
    save->ldtr.selector = (uint16_t)(chance() & 0xfff8);
    save->ldtr.attrib = one_in(2) ? 0 : 0x82;
    save->ldtr.limit = (uint32_t)(chance() & 0xffff);
    save->tr.selector = (uint16_t)(chance() & 0xfff8);
    save->tr.attrib = one_in(2) ? 0x89 : one_in(2) ? 0x8b : long_mode ? 0x89 : 0x83;
    save->tr.limit = 0x67;
    save->tr.base = long_mode ? chance() | UINT64_C(0xffff800000000000) : chance() & 0xffffffff;
    save->gdtr.limit = save->idtr.limit = 0xffff;
    save->gdtr.base = long_mode ? UINT64_C(0xfffffe0000001000) : 0x1000;
    if (mode != 1 && one_in(3))
        vmcb.control.interrupt_state = HVCTL_INTERRUPT_SHADOW;
    save->star = chance();
    save->lstar = UINT64_C(0xffffffff81000000);
}

Test(state, whatever_svm_holds_enters_under_vmx)
{
    const uint64_t none[4] = {0x1001, 0x2001, 0, 0x4001};

    chance_state = 88172645463325252u;
    for (unsigned i = 0; i < 200000; i++) {
        struct hvctl_guest_state state;
        uint64_t words[HVCTL_GUEST_STATE_WORDS];

        random_vmcb();
        hvctl_svm_check(&vmcb, &svm_caps, &report);
        cr_assert_eq(report.broken, 0, "%u is no guest of SVM's: %s", i, broken());
        state = hvctl_svm_guest_read(&vmcb);
        memcpy(state.pdpte, none, sizeof(none));
        state.known |= HVCTL_KNOWS_PDPTES;
        hvctl_guest_state_save(&state, words);
        memset(&state, 0x5a, sizeof(state));
        cr_assert_eq(hvctl_guest_state_restore(&state, words, HVCTL_GUEST_STATE_WORDS), HVCTL_OK);
        fresh_image();
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK, "%u", i);
        hvctl_vmx_check(&image, &caps, &report);
        cr_assert_eq(report.broken, 0, "%u: %s", i, broken());
        if (vmcb.save.cr0 & HVCTL_CR0_PE)
            cr_assert_eq(field(HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS) >> 5 & 3, vmcb.save.cpl, "%u: CPL", i);
        cr_assert_eq(field(HVCTL_VMCS_GUEST_RIP), vmcb.save.rip);
        cr_assert_eq(field(HVCTL_VMCS_GUEST_FS_BASE), vmcb.save.fs.base);
        cr_assert_eq(field(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE) != 0, vmcb.control.interrupt_state != 0);

        /* And back: what SVM looks at is as it was. */
        state = hvctl_vmx_guest_read(&image);
        state.known |= HVCTL_KNOWS_ALL;
        {
            struct hvctl_vmcb_save was = vmcb.save;
            uint64_t shadow = vmcb.control.interrupt_state;

            fresh_vmcb();
            cr_assert_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_OK);
            hvctl_svm_check(&vmcb, &svm_caps, &report);
            cr_assert_eq(report.broken, 0, "%u: %s", i, broken());
            cr_assert_eq(vmcb.save.cpl, !(was.cr0 & HVCTL_CR0_PE) ? 0 : was.cpl);
            if (!(was.rflags >> 17 & 1)) /* 16 bits whatever D says */
                cr_assert_eq(vmcb.save.cs.attrib & 0x600, was.cs.attrib & 0x600, "%u: L and D of CS", i);
            cr_assert_eq(vmcb.save.ss.attrib & 0x80, was.ss.attrib & 0x80, "%u: SS present", i);
            cr_assert_eq(vmcb.save.gs.attrib & 0x80, was.gs.attrib & 0x80, "%u: GS present", i);
            cr_assert_eq(vmcb.save.ds.attrib & 0x60, was.rflags >> 17 & 1 ? 0x60 : was.ds.attrib & 0x60, "%u: DPL", i);
            cr_assert_eq(vmcb.save.ldtr.attrib & 0x80, was.ldtr.attrib & 0x80, "%u: LDTR present", i);
            cr_assert_eq(vmcb.save.tr.attrib & 8, was.tr.attrib & 8, "%u: 16-bit or 32-bit TSS", i);
            cr_assert_eq(vmcb.control.interrupt_state, shadow, "%u", i);
            cr_assert(vmcb.save.cr0 == was.cr0 && vmcb.save.cr4 == was.cr4 && vmcb.save.rflags == was.rflags);
        }
    }
}

/* The rows of the findings, by hand: G with the limit, busy TSS, accessed, present, null segments. */
Test(state, hidden_parts_of_segments_become_those_of_vm_entry)
{
    struct hvctl_guest_state state;

    fresh_vmcb();
    vmcb.save.cr0 = 0x80010011;
    vmcb.save.cr4 = 0x20;
    vmcb.save.efer = 0x1d00;
    vmcb.save.cpl = 3;
    vmcb.save.rflags = 0x202;
    vmcb.save.cs.selector = 0x33;
    vmcb.save.cs.attrib = 0x29a;       /* G clear, not accessed, DPL 0 */
    vmcb.save.cs.limit = 0xffffffff;
    vmcb.save.ss.selector = 0x2b;
    vmcb.save.ss.attrib = 0x400;       /* null, with D/B left over */
    vmcb.save.ds.attrib = 0xcf2;
    vmcb.save.ds.limit = 0xffffffff;
    vmcb.save.tr.attrib = 0x89;
    vmcb.save.tr.limit = 0x67;
    state = hvctl_svm_guest_read(&vmcb);
    fresh_image();
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CS_ACCESS_RIGHTS), 0xa0fb);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_SS_ACCESS_RIGHTS), 0x10060);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_DS_ACCESS_RIGHTS), 0xc0f3);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_TR_ACCESS_RIGHTS), 0x8b);
    hvctl_vmx_check(&image, &caps, &report);
    cr_expect_eq(report.broken, 0, "%s", broken());
}

/* A single step that a shadow holds back is pending: SDM vol. 3, "Checks on Guest Non-Register State", BS. */
Test(state, a_held_back_single_step_is_pending)
{
    for (unsigned btf = 0; btf < 2; btf++) {
        struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

        state.rflags = 0x302;
        state.debugctl = 2 * btf;
        state.interruptibility = HVCTL_BLOCKING_MOV_SS;
        state.pending_debug = btf ? HVCTL_PENDING_BS : 0;
        fresh_image();
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        cr_expect_eq(field(HVCTL_VMCS_GUEST_PENDING_DEBUG_EXCEPTIONS), btf ? 0 : HVCTL_PENDING_BS);
        hvctl_vmx_check(&image, &caps, &report);
        cr_expect_eq(report.broken, 0, "%s", broken());
    }
}

Test(state, what_the_other_vendor_cannot_hold_is_refused)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

    fresh_image();
    state.efer |= UINT64_C(1) << 13; /* LMSLE: segment limits in 64-bit mode */
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE);
    state.efer ^= UINT64_C(1) << 13 | HVCTL_EFER_TCE | HVCTL_EFER_AIBRSE;
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_IA32_EFER), 0xd00);
    state.cr4 |= UINT64_C(1) << 27;
    cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE);
}

/*
 * What VMRUN takes and VM entry refuses, or what a VMCB has no place for. APM vol. 2, "VMRUN Instruction" (paged real
 * mode), "Canonicalization and Consistency Checks"; SDM vol. 3, "Checks on the Guest State Area", "Guest Non-Register
 * State".
 */
Test(state, modes_that_one_vendor_alone_has_are_refused_by_the_other)
{
    static const struct {
        const char *what;
        size_t member;
        uint64_t set, clear;
    } to_vmx[] = {
#define M(member) offsetof(struct hvctl_guest_state, member)
        {"paging in real mode", M(cr0), 0, HVCTL_CR0_PE},
        {"virtual-8086 mode in long mode", M(rflags), 0x20000, 0},
        {"CR3 beyond the physical addresses", M(cr3), UINT64_C(1) << 45, 0},
        {"RIP that is not canonical", M(rip), UINT64_C(1) << 50, 0},
    }, to_svm[] = {
        {"CR4.PKS", M(cr4), UINT64_C(1) << 24, 0},
        {"CR4.UINTR", M(cr4), UINT64_C(1) << 25, 0},
        {"CR4.LASS", M(cr4), UINT64_C(1) << 27, 0},
        {"CR4.LAM_SUP", M(cr4), UINT64_C(1) << 28, 0},
        {"CR4.KL", M(cr4), UINT64_C(1) << 19, 0},
        {"CR4.SMXE", M(cr4), UINT64_C(1) << 14, 0},
        {"CR3 with LAM", M(cr3), UINT64_C(1) << 61, 0},
        {"PKRS", M(pkrs), 4, 0},
        {"a bound directory", M(bndcfgs), 1, 0},
        {"tracing", M(rtit_ctl), 1, 0},
        {"Intel's last branches", M(lbr_ctl), 1, 0},
        {"user interrupts", M(uinv), 0xec, 0},
        {"a pending breakpoint", M(pending_debug), 0x1001, 0},
        {"a pending single step", M(pending_debug), HVCTL_PENDING_BS, 0},
        {"blocking by SMI", M(interruptibility), HVCTL_BLOCKING_SMI, 0},
        {"an interrupted enclave", M(interruptibility), HVCTL_ENCLAVE_INTERRUPTION, 0},
        {"NW without CD", M(cr0), HVCTL_CR0_NW, 0},
#undef M
    };
    struct hvctl_guest_state state;

    for (unsigned i = 0; i < sizeof(to_vmx) / sizeof(to_vmx[0]); i++) {
        uint64_t *member = (uint64_t *)(void *)((char *)&state + to_vmx[i].member);

        fresh_image();
        state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        *member = (*member & ~to_vmx[i].clear) | to_vmx[i].set;
        cr_expect_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_E_MODE, "%s", to_vmx[i].what);
    }
    for (unsigned i = 0; i < sizeof(to_svm) / sizeof(to_svm[0]); i++) {
        uint64_t *member = (uint64_t *)(void *)((char *)&state + to_svm[i].member);

        fresh_vmcb();
        state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);
        cr_assert_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_OK);
        *member = (*member & ~to_svm[i].clear) | to_svm[i].set;
        cr_expect_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_E_MODE, "%s", to_svm[i].what);
    }
    state = hvctl_guest_long64(0x1000, 0x2000, 0x3000); /* held back: TF brings the trap behind the next instruction */
    state.rflags |= 0x100;
    state.interruptibility = HVCTL_BLOCKING_MOV_SS;
    state.pending_debug = HVCTL_PENDING_BS;
    cr_expect_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_OK);
}

/* EFER.LMA is LME and paging, and VMRUN makes it so. APM vol. 2, "Long Mode Active (LMA)". */
Test(state, long_mode_is_what_vmrun_makes_of_the_vmcb)
{
    struct hvctl_guest_state state;

    fresh_vmcb();
    state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);
    cr_assert_eq(hvctl_svm_guest_write(&vmcb, &state), HVCTL_OK);
    vmcb.save.efer &= ~HVCTL_EFER_LMA;
    state = hvctl_svm_guest_read(&vmcb);
    cr_expect_eq(state.efer, HVCTL_EFER_LME | HVCTL_EFER_LMA | HVCTL_EFER_NXE);
    vmcb.save.efer |= HVCTL_EFER_LMA;
    vmcb.save.cr0 &= ~HVCTL_CR0_PG;
    state = hvctl_svm_guest_read(&vmcb);
    cr_expect_eq(state.efer, HVCTL_EFER_LME | HVCTL_EFER_NXE);
}

/* Bits 63:32 of CR3 outlive long mode, and count when it begins again. SDM vol. 3, "Guest Control Registers". */
Test(state, cr3_is_whole_outside_long_mode)
{
    struct hvctl_guest_state state = hvctl_guest_flat32(0x1000, 0x2000);

    fresh_image();
    state.cr3 = UINT64_C(0x8700001000);
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR3), UINT64_C(0x8700001000));
    state.cr3 |= UINT64_C(0xff) << 48; /* of a CPU with more of them */
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    cr_expect_eq(field(HVCTL_VMCS_GUEST_CR3), UINT64_C(0x8700001000));
}

/* Bits by chance in the save area: whatever VMRUN takes of it enters under VMX, or is refused. */
Test(state, no_vmcb_becomes_a_vmcs_that_does_not_enter)
{
    unsigned entered = 0, refused = 0;

    chance_state = UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < 100000; i++) {
        const uint64_t pdptes[4] = {0x1001, 0x2001, 0, 0x4001};
        struct hvctl_guest_state state;

        random_vmcb();
        for (unsigned flips = 1 + (unsigned)(chance() % 3); flips--;) {
            unsigned bit = (unsigned)(chance() % (0x2e8 * 8));

            ((unsigned char *)&vmcb.save)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        hvctl_svm_check(&vmcb, &svm_caps, &report);
        if (report.broken)
            continue;
        state = hvctl_svm_guest_read(&vmcb);
        memcpy(state.pdpte, pdptes, sizeof(pdptes));
        state.known |= HVCTL_KNOWS_PDPTES;
        fresh_image();
        if (hvctl_vmx_guest_write(&image, &caps, &state) != HVCTL_OK) {
            refused++;
            continue;
        }
        hvctl_vmx_check(&image, &caps, &report);
        cr_assert_eq(report.broken, 0, "%u: %s", i, broken());
        entered++;
    }
    cr_expect_gt(entered, 50000);
    cr_expect_gt(refused, 100);
}

/* Fields of the guest-state area that are of its controls, its APIC and SMM, and not in the state: docs/hvctl.md. */
static bool by_hand(uint32_t encoding)
{
    return encoding == HVCTL_VMCS_GUEST_INTERRUPT_STATUS || encoding == HVCTL_VMCS_PML_INDEX
        || encoding == HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE || encoding == HVCTL_VMCS_GUEST_DEADLINE
        || encoding == HVCTL_VMCS_GUEST_SMBASE || encoding == HVCTL_VMCS_VMCS_LINK_POINTER;
}

/* Base or rights of a segment that cannot be used. */
static bool hidden(const struct hvctl_vmcs_image *of, unsigned slot)
{
    unsigned rights = HVCTL_VMCS_SLOT_GUEST_ES_ACCESS_RIGHTS, base = HVCTL_VMCS_SLOT_GUEST_ES_BASE;

    if (slot >= base && slot < base + 8)
        slot = slot - base + rights;
    return slot >= rights && slot < rights + 8 && (of->value[slot] & HVCTL_RIGHTS_UNUSABLE);
}

/*
 * Bits by chance in the guest-state area: whatever VM entry takes comes back as it was; VMRUN takes it, or it is refused.
 */
Test(state, no_vmcs_loses_a_field_or_becomes_a_vmcb_that_does_not_enter)
{
    static struct hvctl_vmcs_image was;
    unsigned entered = 0;

    chance_state = UINT64_C(0x9e3779b97f4a7c15);
    for (unsigned i = 0; i < 100000; i++) {
        struct hvctl_guest_state state = chance() % 2 ? hvctl_guest_long64(0x1000, 0x2000, 0x3000)
                                                    : hvctl_guest_flat32(0x1000, 0x2000);

        fresh_image();
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        for (unsigned flips = 1 + (unsigned)(chance() % 3); flips--;) {
            unsigned slot = (unsigned)(chance() % HVCTL_VMCS_SLOT_COUNT);
            uint32_t encoding = hvctl_vmcs_slot_info(slot)->encoding;

            if (hvctl_vmcs_slot_info(slot)->name && hvctl_vmcs_decode(encoding).type == HVCTL_TYPE_GUEST)
                image.value[slot] ^= UINT64_C(1) << chance() % hvctl_vmcs_width_bits(hvctl_vmcs_decode(encoding).width);
        }
        hvctl_vmx_check(&image, &caps, &report);
        if (report.broken)
            continue;
        was = image;
        state = hvctl_vmx_guest_read(&image);
        fresh_image();
        cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
        for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
            const struct hvctl_vmcs_field_row *row = hvctl_vmcs_slot_info(slot);

            if (row->name && hvctl_vmcs_decode(row->encoding).type == HVCTL_TYPE_GUEST && !by_hand(row->encoding)
                && !hidden(&was, slot))
                cr_assert_eq(image.value[slot], was.value[slot], "%u: %s", i, row->name);
        }
        state.known |= HVCTL_KNOWS_CR2 | HVCTL_KNOWS_DR6 | HVCTL_KNOWS_SYSCALL;
        fresh_vmcb();
        if (hvctl_svm_guest_write(&vmcb, &state) != HVCTL_OK)
            continue;
        hvctl_svm_check(&vmcb, &svm_caps, &report);
        cr_assert_eq(report.broken, 0, "%u: %s", i, broken());
        entered++;
    }
    cr_expect_gt(entered, 20000);
}

/* With "NMI exiting" alone the blocking bit is about the host's NMIs. SDM vol. 3, "Guest Non-Register State". */
Test(state, blocking_of_nmis_is_the_guests_own_or_not_kept)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000);

    fresh_image();
    cr_assert_eq(hvctl_vmx_guest_write(&image, &caps, &state), HVCTL_OK);
    put(HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 2 | 8);
    put(HVCTL_VMCS_GUEST_INTERRUPTIBILITY_STATE, 8);
    state = hvctl_vmx_guest_read(&image);
    cr_expect(state.interruptibility == 0 && !(state.known & HVCTL_KNOWS_NMI_BLOCKING));
    put(HVCTL_VMCS_PIN_BASED_VM_EXECUTION_CONTROLS, 2 | 8 | 32);
    state = hvctl_vmx_guest_read(&image);
    cr_expect(state.interruptibility == 8 && (state.known & HVCTL_KNOWS_NMI_BLOCKING));
}

/* ---- words ---- */

Test(state, words_are_refused_unless_they_are_a_state)
{
    struct hvctl_guest_state state = hvctl_guest_long64(0x1000, 0x2000, 0x3000), back;
    uint64_t words[HVCTL_GUEST_STATE_WORDS + 1] = {0};

    state.uinv = 0x12; /* the last one */
    state.lbr_ctl = 0x5678;
    state.known &= ~(uint64_t)HVCTL_KNOWS_UINV;
    hvctl_guest_state_save(&state, words);
    cr_assert_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_OK);
    cr_expect(back.uinv == 0x12 && back.cs.rights == state.cs.rights && back.rip == 0x2000);
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS - 1), HVCTL_E_SYNTAX);
    cr_expect_eq(hvctl_guest_state_restore(&back, words, 0), HVCTL_E_SYNTAX);
    words[1]++;
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS + 1), HVCTL_E_SYNTAX,
                 "a later version");
    words[1] = HVCTL_GUEST_STATE_WORDS - 3; /* an earlier one, without the last member */
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_OK);
    cr_expect(back.uinv == 0 && back.lbr_ctl == 0x5678);
    words[42] |= HVCTL_KNOWS_UINV;
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_E_SYNTAX,
                 "known, but not there");
    words[42] ^= HVCTL_KNOWS_UINV | UINT64_C(1) << 20;
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_E_SYNTAX, "nobody knows what");
    words[42] ^= UINT64_C(1) << 20;
    words[1] = 81; /* fewer than the first version had */
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_E_SYNTAX);
    words[1] = HVCTL_GUEST_STATE_WORDS - 2;
    words[2] = 0x10000; /* a selector of 17 bits */
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_E_SYNTAX);
    words[2] = 0;
    words[0]++;
    cr_expect_eq(hvctl_guest_state_restore(&back, words, HVCTL_GUEST_STATE_WORDS), HVCTL_E_SYNTAX);
}

/* ---- the CPU's own registers ---- */

static uint64_t msr_value[5];
static unsigned fails_at;

static unsigned msr_number(uint32_t msr)
{
    static const uint32_t msrs[5] = {0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102};
    unsigned i = 0;

    while (i < 5 && msrs[i] != msr)
        i++;
    cr_assert(i < 5, "%x", msr);
    return i;
}

static bool fake_rdmsr(void *ctx, uint32_t msr, uint64_t *value)
{
    (void)ctx;
    *value = msr_value[msr_number(msr)];
    return msr_number(msr) != fails_at;
}

static bool fake_wrmsr(void *ctx, uint32_t msr, uint64_t value)
{
    (void)ctx;
    if (msr_number(msr) == fails_at)
        return false;
    msr_value[msr_number(msr)] = value;
    return true;
}

Test(state, the_cpu_keeps_what_a_vmcs_does_not)
{
    struct hvctl_cpu_ops ops;
    struct hvctl_guest_regs regs;
    struct hvctl_guest_state state;

    memset(&ops, 0, sizeof(ops));
    memset(&regs, 0, sizeof(regs));
    hvctl_guest_state_clear(&state);
    ops.rdmsr = fake_rdmsr;
    ops.wrmsr = fake_wrmsr;
    regs.cr2 = 0x1234;
    fails_at = 9;
    for (unsigned i = 0; i < 5; i++)
        msr_value[i] = 0x100 + i;
    cr_assert_eq(hvctl_guest_msrs_save(&ops, &regs, &state), HVCTL_OK);
    cr_expect(state.star == 0x100 && state.lstar == 0x101 && state.cstar == 0x102 && state.sfmask == 0x103
              && state.kernel_gs_base == 0x104 && state.cr2 == 0x1234);
    cr_expect_eq(state.known, HVCTL_KNOWS_CR2 | HVCTL_KNOWS_SYSCALL);
    memset(msr_value, 0, sizeof(msr_value));
    regs.cr2 = 0;
    cr_assert_eq(hvctl_guest_msrs_load(&ops, &regs, &state), HVCTL_OK);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(msr_value[i], 0x100 + i);
    cr_expect_eq(regs.cr2, 0x1234);
    fails_at = 3;
    hvctl_guest_state_clear(&state);
    cr_expect_eq(hvctl_guest_msrs_save(&ops, &regs, &state), HVCTL_E_MSR);
    cr_expect_not(state.known & HVCTL_KNOWS_SYSCALL);
    memset(msr_value, 0, sizeof(msr_value));
    cr_expect_eq(hvctl_guest_msrs_load(&ops, &regs, &state), HVCTL_OK, "nothing is known, nothing is written");
    cr_expect_eq(msr_value[0], 0);
    state.known = HVCTL_KNOWS_SYSCALL;
    cr_expect_eq(hvctl_guest_msrs_load(&ops, &regs, &state), HVCTL_E_MSR);
}
