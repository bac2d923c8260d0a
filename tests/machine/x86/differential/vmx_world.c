/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* Good VMCSs, and entering. No guest ever runs an instruction: EPT and the guest's own tables translate nothing. */
#include "vmx_world.h"

#include "cpu.h"
#include "machine.h"
#include "memory.h"

struct world_pages world_pages __attribute__((aligned(16384)));

#define AT(page) ((uint64_t)(uintptr_t)world_pages.page)

/* What most images have one by one, where the CPU does. */
static const enum hvctl_vmx_control optional[] = {
    HVCTL_PIN_EXTERNAL_INTERRUPT_EXITING,
    HVCTL_PIN_NMI_EXITING,
    HVCTL_PIN_VIRTUAL_NMIS,
    HVCTL_PRIMARY_USE_IO_BITMAPS,
    HVCTL_PRIMARY_USE_MSR_BITMAPS,
    HVCTL_PRIMARY_USE_TPR_SHADOW,
    HVCTL_PRIMARY_NMI_WINDOW_EXITING,
    HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES,
    HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE,
    HVCTL_SECONDARY_ENABLE_VPID,
    HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION,
    HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY,
    HVCTL_SECONDARY_ENABLE_VM_FUNCTIONS,
    HVCTL_VMFUNC_EPTP_SWITCHING,
    HVCTL_SECONDARY_VMCS_SHADOWING,
    HVCTL_SECONDARY_ENABLE_PML,
    HVCTL_SECONDARY_EPT_VIOLATION_VE,
    HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT,
    HVCTL_SECONDARY_USE_TSC_SCALING,
    HVCTL_EXIT_SAVE_VMX_PREEMPTION_TIMER_VALUE,
    HVCTL_EXIT_LOAD_IA32_PAT,
    HVCTL_EXIT_LOAD_CET_STATE,
    HVCTL_EXIT_LOAD_PKRS,
    HVCTL_ENTRY_LOAD_DEBUG_CONTROLS,
    HVCTL_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL,
    HVCTL_ENTRY_LOAD_IA32_PAT,
    HVCTL_ENTRY_LOAD_IA32_EFER,
    HVCTL_ENTRY_LOAD_IA32_BNDCFGS,
    HVCTL_ENTRY_LOAD_CET_STATE,
    HVCTL_ENTRY_LOAD_PKRS,
    HVCTL_PIN_PROCESS_POSTED_INTERRUPTS,
    HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT,
    HVCTL_ENTRY_LOAD_UINV,
    HVCTL_ENTRY_LOAD_GUEST_IA32_SPEC_CTRL,
    HVCTL_EXIT_ACTIVATE_SECONDARY_CONTROLS,
    HVCTL_EXIT2_LOAD_HOST_IA32_SPEC_CTRL,
    HVCTL_EXIT2_PREMATURELY_BUSY_SHADOW_STACK,
};

enum kind { LONG, LONG_USER, COMPATIBLE, PAE, FLAT, VIRTUAL_8086, REAL, KINDS };

static bool safe_read(void *ctx, uint64_t physical, void *bytes, size_t size)
{
    (void)ctx;
    if (physical < UINT64_C(0x80000000))
        memcpy(bytes, (const void *)(uintptr_t)physical, size);
    else
        memset(bytes, 0xff, size); /* nobody answers there */
    return true;
}

static struct hvctl_cpuid ask_cpuid(void *ctx, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r = cpu_cpuid(leaf, subleaf);
    struct hvctl_cpuid id = {r.eax, r.ebx, r.ecx, r.edx};

    (void)ctx;
    return id;
}

static void ok(enum hvctl_status status, const char *what)
{
    if (status != HVCTL_OK)
        panic("%s: %s", what, hvctl_status_text(status));
}

static struct hvctl_guest_state state_of(enum kind kind)
{
    const uint32_t user_data = 0xc0f3, user_code = 0xa0fb, legacy_code = 0xc09b;
    struct hvctl_guest_state state;

    switch (kind) {
    case REAL: return hvctl_guest_real_mode(0, 0x7c00);
    case FLAT: return hvctl_guest_flat32(0x7c00, 0x7000);
    default: break;
    }
    state = hvctl_guest_long64(AT(zero), 0x7c00, 0x7000);
    if (kind == LONG_USER) {
        state.cs = hvctl_segment_make(0x13, 0, 0xffffffff, user_code);
        state.ss = state.ds = state.es = state.fs = state.gs = hvctl_segment_make(0x1b, 0, 0xffffffff, user_data);
    }
    if (kind == COMPATIBLE)
        state.cs.rights = legacy_code;
    if (kind == PAE || kind == VIRTUAL_8086) {
        state.efer &= ~(HVCTL_EFER_LME | HVCTL_EFER_LMA);
        state.cs.rights = legacy_code;
    }
    if (kind == VIRTUAL_8086) {
        state.rflags |= HVCTL_RFLAGS_VM;
        state.cs = state.ss = state.ds = state.es = state.fs = state.gs = hvctl_segment_make(0, 0, 0xffff, 0xf3);
    }
    return state;
}

/* An image of this kind with these controls besides what every one has. */
static void make(struct hvctl_vmcs_image *image, enum kind kind, bool ept, const struct hvctl_vmx_controls *wanted)
{
    static struct hvctl_vmx_solution solution;
    const struct hvctl_vmx_caps *caps = vmx_caps();
    struct hvctl_guest_state state = state_of(kind);
    struct hvctl_vmx_controls need;
    enum hvctl_status status = HVCTL_OK;

    memset(&need, 0, sizeof(need));
    hvctl_vmx_controls_add(&need, HVCTL_PIN_ACTIVATE_VMX_PREEMPTION_TIMER);
    hvctl_vmx_controls_add(&need, HVCTL_EXIT_HOST_ADDRESS_SPACE_SIZE);
    hvctl_vmx_controls_add(&need, HVCTL_EXIT_LOAD_IA32_EFER);
    hvctl_vmx_controls_add(&need, HVCTL_EXIT_SAVE_IA32_EFER);
    hvctl_vmx_controls_add(&need, HVCTL_PRIMARY_HLT_EXITING);
    hvctl_vmx_controls_add(&need, HVCTL_PRIMARY_ACTIVATE_SECONDARY_CONTROLS);
    if (ept)
        hvctl_vmx_controls_add(&need, HVCTL_SECONDARY_ENABLE_EPT);
    if (kind == REAL || kind == FLAT)
        hvctl_vmx_controls_add(&need, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
    if (hvctl_vmx_solve(&need, wanted, caps, &solution) != HVCTL_OK)
        panic("no control words for the images");
    hvctl_vmcs_image_init(image, caps);
    ok(hvctl_vmx_controls_write(image, &solution.controls), "controls");
    ok(hvctl_vmx_host_capture(vmx_ops(), image), "host state");
    ok(hvctl_vmx_guest_write(image, caps, &state), "guest state");
    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++) {
        uint32_t field = hvctl_vmcs_slot_info(slot)->encoding;
        uint64_t value = ~UINT64_C(0);

        switch (field) {
        case HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_A: value = AT(io_a); break;
        case HVCTL_VMCS_ADDRESS_OF_IO_BITMAP_B: value = AT(io_b); break;
        case HVCTL_VMCS_ADDRESS_OF_MSR_BITMAPS: value = AT(msr_bitmap); break;
        case HVCTL_VMCS_VIRTUAL_APIC_ADDRESS: value = AT(virtual_apic); break;
        case HVCTL_VMCS_APIC_ACCESS_ADDRESS: value = AT(apic_access); break;
        case HVCTL_VMCS_POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: value = AT(posted); break;
        case HVCTL_VMCS_POSTED_INTERRUPT_NOTIFICATION_VECTOR: value = 0xf2; break;
        case HVCTL_VMCS_PML_ADDRESS: value = AT(pml); break;
        case HVCTL_VMCS_SUB_PAGE_PERMISSION_TABLE_POINTER: value = AT(spp); break;
        case HVCTL_VMCS_EPTP_LIST_ADDRESS: value = AT(eptp_list); break;
        case HVCTL_VMCS_VMREAD_BITMAP_ADDRESS: value = AT(vmread_bitmap); break;
        case HVCTL_VMCS_VMWRITE_BITMAP_ADDRESS: value = AT(vmwrite_bitmap); break;
        case HVCTL_VMCS_VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS: value = AT(ve_info); break;
        case HVCTL_VMCS_VM_ENTRY_MSR_LOAD_ADDRESS: value = AT(entry_msrs); break;
        case HVCTL_VMCS_VM_EXIT_MSR_LOAD_ADDRESS: value = AT(exit_msrs); break;
        case HVCTL_VMCS_VM_EXIT_MSR_STORE_ADDRESS: value = AT(stored_msrs); break;
        case HVCTL_VMCS_VM_ENTRY_MSR_LOAD_COUNT: value = kind == LONG ? 2 : 0; break;
        case HVCTL_VMCS_VM_EXIT_MSR_LOAD_COUNT:
        case HVCTL_VMCS_VM_EXIT_MSR_STORE_COUNT: value = kind == LONG ? 1 : 0; break;
        case HVCTL_VMCS_EPT_POINTER: value = AT(ept) | 3 << 3 | 6; break;
        case HVCTL_VMCS_GUEST_CR3: value = AT(zero); break;
        case HVCTL_VMCS_VIRTUAL_PROCESSOR_IDENTIFIER: value = 1; break;
        case HVCTL_VMCS_TSC_MULTIPLIER: value = UINT64_C(1) << 48; break;
        case HVCTL_VMCS_EXCEPTION_BITMAP: value = 0xffffffff; break;
        case HVCTL_VMCS_VMX_PREEMPTION_TIMER_VALUE: value = 1; break;
        case HVCTL_VMCS_HOST_RIP: value = world_host_rip(); break;
        case HVCTL_VMCS_HOST_RSP: continue; /* written at each entry */
        case HVCTL_VMCS_HOST_IA32_PAT:
        case HVCTL_VMCS_GUEST_IA32_PAT: value = HVCTL_PAT_RESET; break;
        case HVCTL_VMCS_TPR_THRESHOLD: value = 0; break;
        case HVCTL_VMCS_GUEST_RFLAGS: value = state.rflags; break;
        default: continue;
        }
        if (hvctl_vmcs_has(image, field))
            hvctl_vmcs_put(image, field, value, &status);
    }
    hvctl_vmcs_put(image, HVCTL_VMCS_VMCS_LINK_POINTER, ~UINT64_C(0), &status);
    /* Only now, since Bochs has the control and not the MSR, which capturing the host's state would read */
    if (hvctl_vmx_controls_has(wanted, HVCTL_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL)
        && hvctl_vmx_can(caps, HVCTL_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL))
        hvctl_vmcs_put(image, HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS,
                       hvctl_vmcs_get(image, HVCTL_VMCS_PRIMARY_VM_EXIT_CONTROLS)
                           | hvctl_vmx_control_mask(HVCTL_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL),
                       &status);
    if (kind == VIRTUAL_8086 || kind == PAE)
        for (uint32_t field = HVCTL_VMCS_GUEST_PDPTE0; field <= HVCTL_VMCS_GUEST_PDPTE3; field += 2)
            if (hvctl_vmcs_has(image, field))
                hvctl_vmcs_put(image, field, AT(zero) | 1, &status);
    ok(status, "fields");
}

static void alias(uint64_t *table)
{
    table[255] = table[256] = table[511] = table[0];
}

/*
 * The kernel's first 512 GiB once more at the ends of the canonical halves, for host RIPs there; and at the very top,
 * where a RIP comes that is moved to both, one after the other. With five levels, at the ends of what four would have,
 * too, and just behind the first 256 TiB.
 */
static void alias_kernel(void)
{
    uint64_t cr3 = vmx_ops()->read_cr3(NULL);
    uint64_t *top = (uint64_t *)(uintptr_t)(cr3 & UINT64_C(0xffffffffff000));

    if (vmx_ops()->read_cr4(NULL) & HVCTL_CR4_LA57) {
        alias((uint64_t *)(uintptr_t)(top[0] & UINT64_C(0xffffffffff000)));
        top[1] = top[0];
    }
    alias(top);
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/* Bochs 2.8 offers a VM-exit control whose field it does not have: it is in no image then. */
static void drop_absent(struct world *world)
{
    uint64_t value;

    for (unsigned slot = 0; slot < HVCTL_VMCS_SLOT_COUNT; slot++)
        if (hvctl_vmcs_set_has(&world->image[0].exists, slot)
            && !vmx_ops()->vmread(vmx_ops()->ctx, hvctl_vmcs_slot_info(slot)->encoding, &value))
            for (unsigned i = 0; i < WORLD_IMAGES; i++)
                hvctl_vmcs_set_remove(&world->image[i].exists, slot);
}

void world_make(struct world *world, struct random *random)
{
    struct hvctl_vmx_region region = {world_pages.vmcs, AT(vmcs)};
    unsigned made = 0;

    memset(&world_pages, 0, sizeof(world_pages));
    *(uint32_t *)world_pages.linked = hvctl_vmx_revision(vmx_caps());
    *(uint32_t *)(world_pages.ve_info + 4) = 0xffffffff; /* busy: no #VE, an EPT violation exits */
    for (unsigned i = 0; i < 512; i += 2)
        world_pages.entry_msrs[i] = world_pages.exit_msrs[i] = world_pages.stored_msrs[i] = HVCTL_MSR_SYSENTER_CS;
    memset(world, 0, sizeof(*world));
    world->around.read = safe_read;
    world->around.current_vmcs = AT(vmcs);
    hvctl_vmx_surroundings_cpuid(&world->around, ask_cpuid, NULL);
    alias_kernel();
    while (made < WORLD_IMAGES) {
        enum kind kind = (enum kind)(made % KINDS);
        struct hvctl_vmx_controls wanted;
        bool ept = kind == REAL || kind == FLAT || made / KINDS % 3 != 2;

        memset(&wanted, 0, sizeof(wanted));
        if (ept && random_one_in(random, 2))
            hvctl_vmx_controls_add(&wanted, HVCTL_SECONDARY_UNRESTRICTED_GUEST);
        for (unsigned i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
            if (made / KINDS == 0 || random_one_in(random, 2))
                hvctl_vmx_controls_add(&wanted, optional[i]);
        if (made % 5 == 1) { /* x2APIC mode alone */
            hvctl_vmx_controls_add(&wanted, HVCTL_SECONDARY_VIRTUALIZE_X2APIC_MODE);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_VIRTUALIZE_APIC_ACCESSES);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_APIC_REGISTER_VIRTUALIZATION);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_VIRTUAL_INTERRUPT_DELIVERY);
            hvctl_vmx_controls_remove(&wanted, HVCTL_PIN_PROCESS_POSTED_INTERRUPTS); /* which would bring it back */
        }
        if (!ept) { /* what would bring it back */
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_ENABLE_PML);
            hvctl_vmx_controls_remove(&wanted, HVCTL_VMFUNC_EPTP_SWITCHING);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_EPT_VIOLATION_VE);
            hvctl_vmx_controls_remove(&wanted, HVCTL_SECONDARY_MODE_BASED_EXECUTE_CONTROL_FOR_EPT);
        }
        make(&world->image[made++], kind, ept, &wanted);
    }
    if (hvctl_vmx_create(vmx_ops(), &region, vmx_caps()) != HVCTL_VMX_SUCCEED)
        panic("the VMCS cannot be made current");
    drop_absent(world);
}

/*
 * All registers are the guest's after an exit, so all are clobbered. The exit arrives at world_arrival, perhaps at an
 * alias of it: the jump brings RIP home.
 */
__attribute__((noinline)) static uint32_t enter(uint32_t resume)
{
    uint32_t result;

    __asm__ volatile("push %%rbp\n\t"
                     "mov %[rsp_field], %%ecx\n\t"
                     "vmwrite %%rsp, %%rcx\n\t"
                     "test %%edi, %%edi\n\t"
                     "jnz 1f\n\t"
                     "vmlaunch\n\t"
                     "jmp 2f\n"
                     "1:\n\t"
                     "vmresume\n"
                     "2:\n\t"
                     "mov $1, %%eax\n\t"
                     "jc 4f\n\t"
                     "mov $2, %%eax\n\t"
                     "jmp 4f\n"
                     ".globl world_arrival\n"
                     "world_arrival:\n\t"
                     "movabs $3f, %%rax\n\t"
                     "jmp *%%rax\n"
                     "3:\n\t"
                     "xor %%eax, %%eax\n"
                     "4:\n\t"
                     "pop %%rbp"
                     : "=&a"(result), "+D"(resume)
                     : [rsp_field] "i"(HVCTL_VMCS_HOST_RSP)
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                       "cc");
    return result;
}

extern const char world_arrival[];

uint64_t world_host_rip(void)
{
    return (uint64_t)(uintptr_t)world_arrival;
}

struct world_result world_enter(struct world *world)
{
    const struct hvctl_cpu_ops *ops = vmx_ops();
    struct world_result result = {HVCTL_FAILURE_NONE, 0, 0, 0};
    uint64_t value = 0;

    switch (enter(world->launched)) {
    case 1: result.error = ~0u; break;
    case 2: result.error = hvctl_vmx_instruction_error(ops); break;
    default:
        if (ops->vmread(ops->ctx, HVCTL_VMCS_EXIT_REASON, &value))
            result.reason = (uint32_t)value;
        if (ops->vmread(ops->ctx, HVCTL_VMCS_EXIT_QUALIFICATION, &value))
            result.qualification = value;
        break;
    }
    result.failure = hvctl_vmx_failure_of(result.error ? result.error : result.reason);
    if (!result.error && !(result.reason >> 31))
        world->launched = true;
    return result;
}
