/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The one list of named VMX control bits. The solver, the field table and the reports all name a control by the id
 * defined here. SDM vol. 3, "VM-Execution Control Fields", "VM-Exit Control Fields", "VM-Entry Control Fields".
 */
#ifndef HVCTL_VMX_CONTROL_LIST_H
#define HVCTL_VMX_CONTROL_LIST_H

#include "../../hvpt/std.h"

/* The words that hold the controls. They are 32 bits wide in the VMCS, except for TERTIARY, EXIT2 and VMFUNC (64). */
enum hvctl_vmx_group {
    HVCTL_GROUP_PIN,       /* pin-based VM-execution controls */
    HVCTL_GROUP_PRIMARY,   /* primary processor-based VM-execution controls */
    HVCTL_GROUP_SECONDARY, /* secondary processor-based VM-execution controls */
    HVCTL_GROUP_TERTIARY,  /* tertiary processor-based VM-execution controls */
    HVCTL_GROUP_EXIT,      /* primary VM-exit controls */
    HVCTL_GROUP_EXIT2,     /* secondary VM-exit controls */
    HVCTL_GROUP_ENTRY,     /* VM-entry controls */
    HVCTL_GROUP_VMFUNC,    /* VM-function controls */
    HVCTL_GROUP_OTHER      /* not a control: what else a field's existence depends on */
};
#define HVCTL_GROUP_COUNT 8 /* groups with a control word */

/*
 * X(group, name, bit, what the 1-setting does)
 *
 * SECONDARY 28 and 29 are not in the newest tables of the manual; TERTIARY 12 and ENTRY 25 are in the newest ones only.
 */
#define HVCTL_VMX_CONTROLS(X)                                                                                \
    X(PIN, EXTERNAL_INTERRUPT_EXITING, 0, "maskable external interrupts exit")                               \
    X(PIN, NMI_EXITING, 3, "NMIs exit")                                                                      \
    X(PIN, VIRTUAL_NMIS, 5, "NMI blocking applies to virtual NMIs; needs NMI exiting")                       \
    X(PIN, ACTIVATE_VMX_PREEMPTION_TIMER, 6, "timer counts down in non-root and exits at 0")                 \
    X(PIN, PROCESS_POSTED_INTERRUPTS, 7, "notification vector processed without exit")                       \
    X(PRIMARY, INTERRUPT_WINDOW_EXITING, 2, "exit when guest can take an interrupt")                         \
    X(PRIMARY, USE_TSC_OFFSETTING, 3, "RDTSC/RDTSCP/RDMSR TSC add TSC offset")                               \
    X(PRIMARY, HLT_EXITING, 7, "HLT exits")                                                                  \
    X(PRIMARY, INVLPG_EXITING, 9, "INVLPG (and INVPCID) exit")                                               \
    X(PRIMARY, MWAIT_EXITING, 10, "MWAIT exits")                                                             \
    X(PRIMARY, RDPMC_EXITING, 11, "RDPMC exits")                                                             \
    X(PRIMARY, RDTSC_EXITING, 12, "RDTSC/RDTSCP exit")                                                       \
    X(PRIMARY, CR3_LOAD_EXITING, 15, "MOV to CR3 exits (subject to CR3-target list)")                        \
    X(PRIMARY, CR3_STORE_EXITING, 16, "MOV from CR3 exits")                                                  \
    X(PRIMARY, ACTIVATE_TERTIARY_CONTROLS, 17, "tertiary controls are used")                                 \
    X(PRIMARY, CR8_LOAD_EXITING, 19, "MOV to CR8 exits")                                                     \
    X(PRIMARY, CR8_STORE_EXITING, 20, "MOV from CR8 exits")                                                  \
    X(PRIMARY, USE_TPR_SHADOW, 21, "TPR virtualized with virtual-APIC page")                                 \
    X(PRIMARY, NMI_WINDOW_EXITING, 22, "exit when no virtual-NMI blocking")                                  \
    X(PRIMARY, MOV_DR_EXITING, 23, "MOV DR exits")                                                           \
    X(PRIMARY, UNCONDITIONAL_IO_EXITING, 24, "all I/O instructions exit (ignored if I/O bitmaps used)")      \
    X(PRIMARY, USE_IO_BITMAPS, 25, "I/O bitmaps A/B decide I/O exits")                                       \
    X(PRIMARY, MONITOR_TRAP_FLAG, 27, "exit after next instruction boundary")                                \
    X(PRIMARY, USE_MSR_BITMAPS, 28, "MSR bitmaps decide RDMSR/WRMSR exits")                                  \
    X(PRIMARY, MONITOR_EXITING, 29, "MONITOR exits")                                                         \
    X(PRIMARY, PAUSE_EXITING, 30, "PAUSE exits")                                                             \
    X(PRIMARY, ACTIVATE_SECONDARY_CONTROLS, 31, "secondary controls are used")                               \
    X(SECONDARY, VIRTUALIZE_APIC_ACCESSES, 0, "accesses to APIC-access page are treated specially")          \
    X(SECONDARY, ENABLE_EPT, 1, "guest-physical addresses translated by EPT")                                \
    X(SECONDARY, DESCRIPTOR_TABLE_EXITING, 2, "LGDT/LIDT/LLDT/LTR/SGDT/SIDT/SLDT/STR exit")                  \
    X(SECONDARY, ENABLE_RDTSCP, 3, "0: RDTSCP (and RDPID) #UD")                                              \
    X(SECONDARY, VIRTUALIZE_X2APIC_MODE, 4, "x2APIC MSR accesses treated specially")                         \
    X(SECONDARY, ENABLE_VPID, 5, "tag linear mappings with VPID")                                            \
    X(SECONDARY, WBINVD_EXITING, 6, "WBINVD/WBNOINVD exit")                                                  \
    X(SECONDARY, UNRESTRICTED_GUEST, 7, "guest may run with CR0.PE=0 or PG=0")                               \
    X(SECONDARY, APIC_REGISTER_VIRTUALIZATION, 8, "most APIC register reads come from virtual-APIC page")    \
    X(SECONDARY, VIRTUAL_INTERRUPT_DELIVERY, 9, "pending virtual interrupts evaluated and delivered")        \
    X(SECONDARY, PAUSE_LOOP_EXITING, 10, "PAUSE loops at CPL0 exit (PLE_GAP/PLE_WINDOW)")                    \
    X(SECONDARY, RDRAND_EXITING, 11, "RDRAND exits")                                                         \
    X(SECONDARY, ENABLE_INVPCID, 12, "0: INVPCID #UD")                                                       \
    X(SECONDARY, ENABLE_VM_FUNCTIONS, 13, "VMFUNC usable in guest")                                          \
    X(SECONDARY, VMCS_SHADOWING, 14, "guest VMREAD/VMWRITE may use shadow VMCS")                             \
    X(SECONDARY, ENABLE_ENCLS_EXITING, 15, "ENCLS-exiting bitmap consulted")                                 \
    X(SECONDARY, RDSEED_EXITING, 16, "RDSEED exits")                                                         \
    X(SECONDARY, ENABLE_PML, 17, "log GPA when an EPT dirty flag is set")                                    \
    X(SECONDARY, EPT_VIOLATION_VE, 18, "convertible EPT violations raise #VE")                               \
    X(SECONDARY, CONCEAL_VMX_FROM_PT, 19, "no VMX non-root indication in PT")                                \
    X(SECONDARY, ENABLE_XSAVES_XRSTORS, 20, "0: XSAVES/XRSTORS #UD")                                         \
    X(SECONDARY, PASID_TRANSLATION, 21, "ENQCMD/ENQCMDS PASID translated via directories")                   \
    X(SECONDARY, MODE_BASED_EXECUTE_CONTROL_FOR_EPT, 22, "separate user/supervisor execute bits in EPT")     \
    X(SECONDARY, SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, 23, "128-byte sub-page write permissions")              \
    X(SECONDARY, PT_USES_GUEST_PHYSICAL_ADDRESSES, 24, "PT output addresses are GPAs translated by EPT")     \
    X(SECONDARY, USE_TSC_SCALING, 25, "TSC reads scaled by TSC multiplier (with offsetting)")                \
    X(SECONDARY, ENABLE_USER_WAIT_AND_PAUSE, 26, "0: TPAUSE/UMONITOR/UMWAIT #UD")                            \
    X(SECONDARY, ENABLE_PCONFIG, 27, "0: PCONFIG #UD; PCONFIG-exiting bitmap consulted")                     \
    X(SECONDARY, ENABLE_ENCLV_EXITING, 28, "ENCLV-exiting bitmap consulted")                                 \
    X(SECONDARY, ENABLE_EPC_VIRTUALIZATION_EXTENSIONS, 29, "SGX EPC virtualisation leafs")                   \
    X(SECONDARY, VMM_BUS_LOCK_DETECTION, 30, "bus lock assertion exits")                                     \
    X(SECONDARY, INSTRUCTION_TIMEOUT, 31, "exit if no interrupt window within timeout (notify)")             \
    X(TERTIARY, LOADIWKEY_EXITING, 0, "LOADIWKEY exits")                                                     \
    X(TERTIARY, ENABLE_HLAT, 1, "HLAT paging used for prefix addresses")                                     \
    X(TERTIARY, EPT_PAGING_WRITE_CONTROL, 2, "EPT bit 58 lets paging writes bypass write permission")        \
    X(TERTIARY, GUEST_PAGING_VERIFICATION, 3, "EPT bit 57 demands paging-write on guest walk")               \
    X(TERTIARY, IPI_VIRTUALIZATION, 4, "ICR writes/SENDUIPI post via PID-pointer table")                     \
    X(TERTIARY, SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH, 5, "SEAM: selects guest-physical address width")          \
    X(TERTIARY, ENABLE_MSR_LIST_INSTRUCTIONS, 6, "0: RDMSRLIST/WRMSRLIST #UD")                               \
    X(TERTIARY, VIRTUALIZE_IA32_SPEC_CTRL, 7, "guest IA32_SPEC_CTRL uses mask/shadow")                       \
    X(TERTIARY, APIC_TIMER_VIRTUALIZATION, 8, "guest TSC-deadline timer delivered as virtual interrupt")     \
    X(TERTIARY, ENABLE_PBNDKB, 9, "0: PBNDKB #UD")                                                           \
    X(TERTIARY, PEBS_USES_GUEST_PHYSICAL_ADDRESSES, 12,                                                      \
      "architectural PEBS buffer addresses are GPAs translated by EPT")                                      \
    X(EXIT, SAVE_DEBUG_CONTROLS, 2, "DR7 and IA32_DEBUGCTL saved on exit")                                   \
    X(EXIT, HOST_ADDRESS_SPACE_SIZE, 9, "host is in 64-bit mode after exit")                                 \
    X(EXIT, LOAD_IA32_PERF_GLOBAL_CTRL, 12, "host value loaded on exit")                                     \
    X(EXIT, ACKNOWLEDGE_INTERRUPT_ON_EXIT, 15, "external-interrupt exit acknowledges and stores vector")     \
    X(EXIT, SAVE_IA32_PAT, 18, "guest PAT saved")                                                            \
    X(EXIT, LOAD_IA32_PAT, 19, "host PAT loaded")                                                            \
    X(EXIT, SAVE_IA32_EFER, 20, "guest EFER saved")                                                          \
    X(EXIT, LOAD_IA32_EFER, 21, "host EFER loaded")                                                          \
    X(EXIT, SAVE_VMX_PREEMPTION_TIMER_VALUE, 22, "timer saved on exit")                                      \
    X(EXIT, CLEAR_IA32_BNDCFGS, 23, "BNDCFGS cleared on exit")                                               \
    X(EXIT, CONCEAL_VMX_FROM_PT, 24, "no PIP/VMCS PT packets on exit")                                       \
    X(EXIT, CLEAR_IA32_RTIT_CTL, 25, "RTIT_CTL cleared on exit")                                             \
    X(EXIT, CLEAR_IA32_LBR_CTL, 26, "LBR_CTL cleared on exit")                                               \
    X(EXIT, CLEAR_UINV, 27, "UINV cleared on exit")                                                          \
    X(EXIT, LOAD_CET_STATE, 28, "host S_CET, SSP, SSP table loaded")                                         \
    X(EXIT, LOAD_PKRS, 29, "host PKRS loaded")                                                               \
    X(EXIT, SAVE_IA32_PERF_GLOBAL_CTRL, 30, "guest value saved on exit")                                     \
    X(EXIT, ACTIVATE_SECONDARY_CONTROLS, 31, "secondary VM-exit controls used")                              \
    X(EXIT2, SAVE_GUEST_FRED, 0, "guest FRED MSRs saved on exit")                                            \
    X(EXIT2, LOAD_HOST_FRED, 1, "host FRED MSRs loaded on exit")                                             \
    X(EXIT2, LOAD_HOST_IA32_SPEC_CTRL, 2, "host IA32_SPEC_CTRL loaded on exit")                              \
    X(EXIT2, PREMATURELY_BUSY_SHADOW_STACK, 3, "exit reason bit 25 reports a prematurely busy shadow stack") \
    X(ENTRY, LOAD_DEBUG_CONTROLS, 2, "DR7 and IA32_DEBUGCTL loaded on entry")                                \
    X(ENTRY, IA32E_MODE_GUEST, 9, "guest in IA-32e mode after entry")                                        \
    X(ENTRY, ENTRY_TO_SMM, 10, "guest in SMM after entry")                                                   \
    X(ENTRY, DEACTIVATE_DUAL_MONITOR_TREATMENT, 11, "default SMI treatment after entry")                     \
    X(ENTRY, LOAD_IA32_PERF_GLOBAL_CTRL, 13, "guest value loaded")                                           \
    X(ENTRY, LOAD_IA32_PAT, 14, "guest PAT loaded")                                                          \
    X(ENTRY, LOAD_IA32_EFER, 15, "guest EFER loaded")                                                        \
    X(ENTRY, LOAD_IA32_BNDCFGS, 16, "guest BNDCFGS loaded")                                                  \
    X(ENTRY, CONCEAL_VMX_FROM_PT, 17, "no PIP PT packet on entry")                                           \
    X(ENTRY, LOAD_IA32_RTIT_CTL, 18, "guest RTIT_CTL loaded")                                                \
    X(ENTRY, LOAD_UINV, 19, "guest UINV loaded")                                                             \
    X(ENTRY, LOAD_CET_STATE, 20, "guest S_CET, SSP, SSP table loaded")                                       \
    X(ENTRY, LOAD_GUEST_IA32_LBR_CTL, 21, "guest LBR_CTL loaded")                                            \
    X(ENTRY, LOAD_PKRS, 22, "guest PKRS loaded")                                                             \
    X(ENTRY, LOAD_FRED, 23, "guest FRED MSRs loaded")                                                        \
    X(ENTRY, LOAD_GUEST_IA32_SPEC_CTRL, 24, "guest IA32_SPEC_CTRL loaded")                                   \
    X(ENTRY, ALLOW_SEAM_GUEST_TELEMETRY, 25, "SEAM: telemetry stays on in TD guest (newest SDM table only)") \
    X(VMFUNC, EPTP_SWITCHING, 0, "VMFUNC leaf 0 loads EPTP from list")

/*
 * A control's id: its group times 64 plus its bit. HVCTL_SECONDARY_ENABLE_EPT is bit 1 of HVCTL_GROUP_SECONDARY.
 * The last few are conditions other than controls on which a field's existence may depend.
 */
enum hvctl_vmx_control {
#define HVCTL_X(group, name, bit, text) HVCTL_##group##_##name = HVCTL_GROUP_##group * 64 + (bit),
    HVCTL_VMX_CONTROLS(HVCTL_X)
#undef HVCTL_X
    HVCTL_ALWAYS = HVCTL_GROUP_OTHER * 64,
    HVCTL_NEVER,
    HVCTL_CR3_TARGETS_1, /* IA32_VMX_MISC[24:16] is at least 1 */
    HVCTL_CR3_TARGETS_2,
    HVCTL_CR3_TARGETS_3,
    HVCTL_CR3_TARGETS_4,
    HVCTL_CPUID_FRED, /* CPUID.(EAX=07H,ECX=1):EAX[17] */
    HVCTL_CPUID_APX   /* CPUID.(EAX=07H,ECX=1):EDX[21] */
};

/* The group of a control or other condition; HVCTL_GROUP_OTHER for anything that is no control bit. */
static inline enum hvctl_vmx_group hvctl_vmx_control_group(enum hvctl_vmx_control control)
{
    unsigned group = (unsigned)control / 64u;

    return group < HVCTL_GROUP_COUNT ? (enum hvctl_vmx_group)group : HVCTL_GROUP_OTHER;
}

/* The control's bit in its word, as a mask; 0 for a condition that is not a control. */
static inline uint64_t hvctl_vmx_control_mask(enum hvctl_vmx_control control)
{
    return hvctl_vmx_control_group(control) == HVCTL_GROUP_OTHER ? 0 : (uint64_t)1 << ((unsigned)control % 64u);
}

/* One row of the list of controls. */
struct hvctl_vmx_control_info {
    enum hvctl_vmx_control control;
    const char *name; /* "SECONDARY_ENABLE_EPT" */
    const char *text; /* what the 1-setting does, in a few words */
};

/* The row with this number in the list of named controls, in the order of HVCTL_VMX_CONTROLS; NULL after the last. */
static inline const struct hvctl_vmx_control_info *hvctl_vmx_control_at(size_t number)
{
    static const struct hvctl_vmx_control_info list[] = {
#define HVCTL_X(group, name, bit, text) {HVCTL_##group##_##name, #group "_" #name, text},
        HVCTL_VMX_CONTROLS(HVCTL_X)
#undef HVCTL_X
    };

    return number < sizeof(list) / sizeof(list[0]) ? &list[number] : NULL;
}

/* "SECONDARY_ENABLE_EPT", or the condition in words; NULL for a bit that the manual does not name. */
static inline const char *hvctl_vmx_control_name(enum hvctl_vmx_control control)
{
    const struct hvctl_vmx_control_info *row;
    size_t number = 0;

    switch (control) {
    case HVCTL_ALWAYS: return "always";
    case HVCTL_NEVER: return "never";
    case HVCTL_CR3_TARGETS_1: return "IA32_VMX_MISC: 1 or more CR3-target values";
    case HVCTL_CR3_TARGETS_2: return "IA32_VMX_MISC: 2 or more CR3-target values";
    case HVCTL_CR3_TARGETS_3: return "IA32_VMX_MISC: 3 or more CR3-target values";
    case HVCTL_CR3_TARGETS_4: return "IA32_VMX_MISC: 4 or more CR3-target values";
    case HVCTL_CPUID_FRED: return "CPUID: FRED";
    case HVCTL_CPUID_APX: return "CPUID: APX";
    default: break;
    }
    while ((row = hvctl_vmx_control_at(number++)) != NULL)
        if (row->control == control)
            return row->name;
    return NULL;
}

/* The manual's name for the field that holds a group's word. */
static inline const char *hvctl_vmx_group_name(enum hvctl_vmx_group group)
{
    switch (group) {
    case HVCTL_GROUP_PIN: return "pin-based VM-execution controls";
    case HVCTL_GROUP_PRIMARY: return "primary processor-based VM-execution controls";
    case HVCTL_GROUP_SECONDARY: return "secondary processor-based VM-execution controls";
    case HVCTL_GROUP_TERTIARY: return "tertiary processor-based VM-execution controls";
    case HVCTL_GROUP_EXIT: return "primary VM-exit controls";
    case HVCTL_GROUP_EXIT2: return "secondary VM-exit controls";
    case HVCTL_GROUP_ENTRY: return "VM-entry controls";
    case HVCTL_GROUP_VMFUNC: return "VM-function controls";
    case HVCTL_GROUP_OTHER: break;
    }
    return "no control";
}

#endif
