/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The one list of VMCS fields, with the encoding and the type of each and what makes it exist. All that the library
 * knows of fields is generated from it. SDM vol. 3, appendix "Field Encoding in VMCS".
 */
#ifndef HVCTL_VMX_VMCS_FIELDS_H
#define HVCTL_VMX_VMCS_FIELDS_H

#include "../common/linkage.h"
#include "../../hvpt/std.h"

#include "control_list.h"

/*
 * X(name, encoding, width, type, when, or_when): the field exists on CPUs that support the 1-setting of the control
 * "when" or of "or_when". R(encoding): an encoding between others that names no field, or none that two sources agree
 * on.
 *
 * The order is that of the encodings within width and type, with no gaps: a field's position in the list is its slot in
 * the image. Names are those of the manual's editions before FRED. VIRTUAL_TIMER_VECTOR, GUEST_DEADLINE_SHADOW,
 * GUEST_DEADLINE and EXTENDED_INSTRUCTION_INFORMATION are in the newest documents only; ENCLV_EXITING_BITMAP is not
 * in them any more. The encodings of GUEST_IA32_SPEC_CTRL and HOST_IA32_SPEC_CTRL rest on one implementation; those of
 * IA32_SPEC_CTRL_MASK and IA32_SPEC_CTRL_SHADOW on four.
 */
#define HVCTL_VMCS_SLOTS(X, R)                                                                                        \
    /* 16-bit, control */                                                                                             \
    X(VIRTUAL_PROCESSOR_IDENTIFIER, 0x0000, 16, CONTROL, SECONDARY_ENABLE_VPID, NEVER)                                \
    X(POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0x0002, 16, CONTROL, PIN_PROCESS_POSTED_INTERRUPTS, NEVER)                \
    X(EPTP_INDEX, 0x0004, 16, CONTROL, SECONDARY_EPT_VIOLATION_VE, NEVER)                                             \
    X(HLAT_PREFIX_SIZE, 0x0006, 16, CONTROL, TERTIARY_ENABLE_HLAT, NEVER)                                             \
    X(LAST_PID_POINTER_INDEX, 0x0008, 16, CONTROL, TERTIARY_IPI_VIRTUALIZATION, NEVER)                                \
    X(VIRTUAL_TIMER_VECTOR, 0x000a, 16, CONTROL, TERTIARY_APIC_TIMER_VIRTUALIZATION, NEVER)                           \
    /* 16-bit, guest state */                                                                                         \
    X(GUEST_ES_SELECTOR, 0x0800, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_CS_SELECTOR, 0x0802, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_SS_SELECTOR, 0x0804, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_DS_SELECTOR, 0x0806, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_FS_SELECTOR, 0x0808, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_GS_SELECTOR, 0x080a, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_LDTR_SELECTOR, 0x080c, 16, GUEST, ALWAYS, NEVER)                                                          \
    X(GUEST_TR_SELECTOR, 0x080e, 16, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_INTERRUPT_STATUS, 0x0810, 16, GUEST, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, NEVER)                         \
    X(PML_INDEX, 0x0812, 16, GUEST, SECONDARY_ENABLE_PML, NEVER)                                                      \
    X(GUEST_UINV, 0x0814, 16, GUEST, ENTRY_LOAD_UINV, EXIT_CLEAR_UINV)                                                \
    /* 16-bit, host state */                                                                                          \
    X(HOST_ES_SELECTOR, 0x0c00, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_CS_SELECTOR, 0x0c02, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_SS_SELECTOR, 0x0c04, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_DS_SELECTOR, 0x0c06, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_FS_SELECTOR, 0x0c08, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_GS_SELECTOR, 0x0c0a, 16, HOST, ALWAYS, NEVER)                                                              \
    X(HOST_TR_SELECTOR, 0x0c0c, 16, HOST, ALWAYS, NEVER)                                                              \
    /* 64-bit, control */                                                                                             \
    X(ADDRESS_OF_IO_BITMAP_A, 0x2000, 64, CONTROL, ALWAYS, NEVER)                                                     \
    X(ADDRESS_OF_IO_BITMAP_B, 0x2002, 64, CONTROL, ALWAYS, NEVER)                                                     \
    X(ADDRESS_OF_MSR_BITMAPS, 0x2004, 64, CONTROL, PRIMARY_USE_MSR_BITMAPS, NEVER)                                    \
    X(VM_EXIT_MSR_STORE_ADDRESS, 0x2006, 64, CONTROL, ALWAYS, NEVER)                                                  \
    X(VM_EXIT_MSR_LOAD_ADDRESS, 0x2008, 64, CONTROL, ALWAYS, NEVER)                                                   \
    X(VM_ENTRY_MSR_LOAD_ADDRESS, 0x200a, 64, CONTROL, ALWAYS, NEVER)                                                  \
    X(EXECUTIVE_VMCS_POINTER, 0x200c, 64, CONTROL, ALWAYS, NEVER)                                                     \
    X(PML_ADDRESS, 0x200e, 64, CONTROL, SECONDARY_ENABLE_PML, NEVER)                                                  \
    X(TSC_OFFSET, 0x2010, 64, CONTROL, ALWAYS, NEVER)                                                                 \
    X(VIRTUAL_APIC_ADDRESS, 0x2012, 64, CONTROL, PRIMARY_USE_TPR_SHADOW, NEVER)                                       \
    X(APIC_ACCESS_ADDRESS, 0x2014, 64, CONTROL, SECONDARY_VIRTUALIZE_APIC_ACCESSES, NEVER)                            \
    X(POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, 0x2016, 64, CONTROL, PIN_PROCESS_POSTED_INTERRUPTS, NEVER)                 \
    X(VM_FUNCTION_CONTROLS, 0x2018, 64, CONTROL, SECONDARY_ENABLE_VM_FUNCTIONS, NEVER)                                \
    X(EPT_POINTER, 0x201a, 64, CONTROL, SECONDARY_ENABLE_EPT, NEVER)                                                  \
    X(EOI_EXIT_BITMAP_0, 0x201c, 64, CONTROL, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, NEVER)                            \
    X(EOI_EXIT_BITMAP_1, 0x201e, 64, CONTROL, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, NEVER)                            \
    X(EOI_EXIT_BITMAP_2, 0x2020, 64, CONTROL, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, NEVER)                            \
    X(EOI_EXIT_BITMAP_3, 0x2022, 64, CONTROL, SECONDARY_VIRTUAL_INTERRUPT_DELIVERY, NEVER)                            \
    X(EPTP_LIST_ADDRESS, 0x2024, 64, CONTROL, VMFUNC_EPTP_SWITCHING, NEVER)                                           \
    X(VMREAD_BITMAP_ADDRESS, 0x2026, 64, CONTROL, SECONDARY_VMCS_SHADOWING, NEVER)                                    \
    X(VMWRITE_BITMAP_ADDRESS, 0x2028, 64, CONTROL, SECONDARY_VMCS_SHADOWING, NEVER)                                   \
    X(VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS, 0x202a, 64, CONTROL, SECONDARY_EPT_VIOLATION_VE, NEVER)           \
    X(XSS_EXITING_BITMAP, 0x202c, 64, CONTROL, SECONDARY_ENABLE_XSAVES_XRSTORS, NEVER)                                \
    X(ENCLS_EXITING_BITMAP, 0x202e, 64, CONTROL, SECONDARY_ENABLE_ENCLS_EXITING, NEVER)                               \
    X(SUB_PAGE_PERMISSION_TABLE_POINTER, 0x2030, 64, CONTROL, SECONDARY_SUB_PAGE_WRITE_PERMISSIONS_FOR_EPT, NEVER)    \
    X(TSC_MULTIPLIER, 0x2032, 64, CONTROL, SECONDARY_USE_TSC_SCALING, NEVER)                                          \
    X(TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0x2034, 64, CONTROL, PRIMARY_ACTIVATE_TERTIARY_CONTROLS, NEVER) \
    X(ENCLV_EXITING_BITMAP, 0x2036, 64, CONTROL, SECONDARY_ENABLE_ENCLV_EXITING, NEVER)                               \
    X(LOW_PASID_DIRECTORY_ADDRESS, 0x2038, 64, CONTROL, SECONDARY_PASID_TRANSLATION, NEVER)                           \
    X(HIGH_PASID_DIRECTORY_ADDRESS, 0x203a, 64, CONTROL, SECONDARY_PASID_TRANSLATION, NEVER)                          \
    X(SHARED_EPT_POINTER, 0x203c, 64, CONTROL, TERTIARY_SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH, NEVER)                     \
    X(PCONFIG_EXITING_BITMAP, 0x203e, 64, CONTROL, SECONDARY_ENABLE_PCONFIG, NEVER)                                   \
    X(HLAT_POINTER, 0x2040, 64, CONTROL, TERTIARY_ENABLE_HLAT, NEVER)                                                 \
    X(PID_POINTER_TABLE_ADDRESS, 0x2042, 64, CONTROL, TERTIARY_IPI_VIRTUALIZATION, NEVER)                             \
    X(SECONDARY_VM_EXIT_CONTROLS, 0x2044, 64, CONTROL, EXIT_ACTIVATE_SECONDARY_CONTROLS, NEVER)                       \
    R(0x2046)                                                                                                         \
    R(0x2048)                                                                                                         \
    X(IA32_SPEC_CTRL_MASK, 0x204a, 64, CONTROL, TERTIARY_VIRTUALIZE_IA32_SPEC_CTRL, NEVER)                            \
    X(IA32_SPEC_CTRL_SHADOW, 0x204c, 64, CONTROL, TERTIARY_VIRTUALIZE_IA32_SPEC_CTRL, NEVER)                          \
    X(GUEST_DEADLINE_SHADOW, 0x204e, 64, CONTROL, TERTIARY_APIC_TIMER_VIRTUALIZATION, NEVER)                          \
    R(0x2050)                                                                                                         \
    X(INJECTED_EVENT_DATA, 0x2052, 64, CONTROL, CPUID_FRED, NEVER)                                                    \
    /* 64-bit, VM-exit information (read-only) */                                                                     \
    X(GUEST_PHYSICAL_ADDRESS, 0x2400, 64, EXIT_INFO, SECONDARY_ENABLE_EPT, NEVER)                                     \
    X(MSR_DATA, 0x2402, 64, EXIT_INFO, TERTIARY_ENABLE_MSR_LIST_INSTRUCTIONS, NEVER)                                  \
    X(ORIGINAL_EVENT_DATA, 0x2404, 64, EXIT_INFO, CPUID_FRED, NEVER)                                                  \
    X(EXTENDED_INSTRUCTION_INFORMATION, 0x2406, 64, EXIT_INFO, CPUID_APX, NEVER)                                      \
    /* 64-bit, guest state */                                                                                         \
    X(VMCS_LINK_POINTER, 0x2800, 64, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_IA32_DEBUGCTL, 0x2802, 64, GUEST, ALWAYS, NEVER)                                                          \
    X(GUEST_IA32_PAT, 0x2804, 64, GUEST, ENTRY_LOAD_IA32_PAT, EXIT_SAVE_IA32_PAT)                                     \
    X(GUEST_IA32_EFER, 0x2806, 64, GUEST, ENTRY_LOAD_IA32_EFER, EXIT_SAVE_IA32_EFER)                                  \
    X(GUEST_IA32_PERF_GLOBAL_CTRL, 0x2808, 64, GUEST, ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL, NEVER)                        \
    X(GUEST_PDPTE0, 0x280a, 64, GUEST, SECONDARY_ENABLE_EPT, NEVER)                                                   \
    X(GUEST_PDPTE1, 0x280c, 64, GUEST, SECONDARY_ENABLE_EPT, NEVER)                                                   \
    X(GUEST_PDPTE2, 0x280e, 64, GUEST, SECONDARY_ENABLE_EPT, NEVER)                                                   \
    X(GUEST_PDPTE3, 0x2810, 64, GUEST, SECONDARY_ENABLE_EPT, NEVER)                                                   \
    X(GUEST_IA32_BNDCFGS, 0x2812, 64, GUEST, ENTRY_LOAD_IA32_BNDCFGS, EXIT_CLEAR_IA32_BNDCFGS)                        \
    X(GUEST_IA32_RTIT_CTL, 0x2814, 64, GUEST, ENTRY_LOAD_IA32_RTIT_CTL, EXIT_CLEAR_IA32_RTIT_CTL)                     \
    X(GUEST_IA32_LBR_CTL, 0x2816, 64, GUEST, ENTRY_LOAD_GUEST_IA32_LBR_CTL, EXIT_CLEAR_IA32_LBR_CTL)                  \
    X(GUEST_IA32_PKRS, 0x2818, 64, GUEST, ENTRY_LOAD_PKRS, NEVER)                                                     \
    X(GUEST_IA32_FRED_CONFIG, 0x281a, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                              \
    X(GUEST_IA32_FRED_RSP1, 0x281c, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    X(GUEST_IA32_FRED_RSP2, 0x281e, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    X(GUEST_IA32_FRED_RSP3, 0x2820, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    X(GUEST_IA32_FRED_STKLVLS, 0x2822, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                             \
    X(GUEST_IA32_FRED_SSP1, 0x2824, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    X(GUEST_IA32_FRED_SSP2, 0x2826, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    X(GUEST_IA32_FRED_SSP3, 0x2828, 64, GUEST, ENTRY_LOAD_FRED, EXIT2_SAVE_GUEST_FRED)                                \
    R(0x282a)                                                                                                         \
    R(0x282c)                                                                                                         \
    X(GUEST_IA32_SPEC_CTRL, 0x282e, 64, GUEST, ENTRY_LOAD_GUEST_IA32_SPEC_CTRL, NEVER)                                \
    X(GUEST_DEADLINE, 0x2830, 64, GUEST, TERTIARY_APIC_TIMER_VIRTUALIZATION, NEVER)                                   \
    /* 64-bit, host state */                                                                                          \
    X(HOST_IA32_PAT, 0x2c00, 64, HOST, EXIT_LOAD_IA32_PAT, NEVER)                                                     \
    X(HOST_IA32_EFER, 0x2c02, 64, HOST, EXIT_LOAD_IA32_EFER, NEVER)                                                   \
    X(HOST_IA32_PERF_GLOBAL_CTRL, 0x2c04, 64, HOST, EXIT_LOAD_IA32_PERF_GLOBAL_CTRL, NEVER)                           \
    X(HOST_IA32_PKRS, 0x2c06, 64, HOST, EXIT_LOAD_PKRS, NEVER)                                                        \
    X(HOST_IA32_FRED_CONFIG, 0x2c08, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                           \
    X(HOST_IA32_FRED_RSP1, 0x2c0a, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    X(HOST_IA32_FRED_RSP2, 0x2c0c, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    X(HOST_IA32_FRED_RSP3, 0x2c0e, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    X(HOST_IA32_FRED_STKLVLS, 0x2c10, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                          \
    X(HOST_IA32_FRED_SSP1, 0x2c12, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    X(HOST_IA32_FRED_SSP2, 0x2c14, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    X(HOST_IA32_FRED_SSP3, 0x2c16, 64, HOST, EXIT2_LOAD_HOST_FRED, NEVER)                                             \
    R(0x2c18)                                                                                                         \
    X(HOST_IA32_SPEC_CTRL, 0x2c1a, 64, HOST, EXIT2_LOAD_HOST_IA32_SPEC_CTRL, NEVER)                                   \
    /* 32-bit, control */                                                                                             \
    X(PIN_BASED_VM_EXECUTION_CONTROLS, 0x4000, 32, CONTROL, ALWAYS, NEVER)                                            \
    X(PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0x4002, 32, CONTROL, ALWAYS, NEVER)                              \
    X(EXCEPTION_BITMAP, 0x4004, 32, CONTROL, ALWAYS, NEVER)                                                           \
    X(PAGE_FAULT_ERROR_CODE_MASK, 0x4006, 32, CONTROL, ALWAYS, NEVER)                                                 \
    X(PAGE_FAULT_ERROR_CODE_MATCH, 0x4008, 32, CONTROL, ALWAYS, NEVER)                                                \
    X(CR3_TARGET_COUNT, 0x400a, 32, CONTROL, ALWAYS, NEVER)                                                           \
    X(PRIMARY_VM_EXIT_CONTROLS, 0x400c, 32, CONTROL, ALWAYS, NEVER)                                                   \
    X(VM_EXIT_MSR_STORE_COUNT, 0x400e, 32, CONTROL, ALWAYS, NEVER)                                                    \
    X(VM_EXIT_MSR_LOAD_COUNT, 0x4010, 32, CONTROL, ALWAYS, NEVER)                                                     \
    X(VM_ENTRY_CONTROLS, 0x4012, 32, CONTROL, ALWAYS, NEVER)                                                          \
    X(VM_ENTRY_MSR_LOAD_COUNT, 0x4014, 32, CONTROL, ALWAYS, NEVER)                                                    \
    X(VM_ENTRY_INTERRUPTION_INFORMATION_FIELD, 0x4016, 32, CONTROL, ALWAYS, NEVER)                                    \
    X(VM_ENTRY_EXCEPTION_ERROR_CODE, 0x4018, 32, CONTROL, ALWAYS, NEVER)                                              \
    X(VM_ENTRY_INSTRUCTION_LENGTH, 0x401a, 32, CONTROL, ALWAYS, NEVER)                                                \
    X(TPR_THRESHOLD, 0x401c, 32, CONTROL, PRIMARY_USE_TPR_SHADOW, NEVER)                                              \
    X(SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS, 0x401e, 32, CONTROL, PRIMARY_ACTIVATE_SECONDARY_CONTROLS,      \
      NEVER)                                                                                                          \
    X(PLE_GAP, 0x4020, 32, CONTROL, SECONDARY_PAUSE_LOOP_EXITING, NEVER)                                              \
    X(PLE_WINDOW, 0x4022, 32, CONTROL, SECONDARY_PAUSE_LOOP_EXITING, NEVER)                                           \
    X(INSTRUCTION_TIMEOUT_CONTROL, 0x4024, 32, CONTROL, SECONDARY_INSTRUCTION_TIMEOUT, NEVER)                         \
    X(TD_HKID, 0x4026, 32, CONTROL, TERTIARY_SEAM_GUEST_PHYSICAL_ADDRESS_WIDTH, NEVER)                                \
    /* 32-bit, VM-exit information (read-only) */                                                                     \
    X(VM_INSTRUCTION_ERROR, 0x4400, 32, EXIT_INFO, ALWAYS, NEVER)                                                     \
    X(EXIT_REASON, 0x4402, 32, EXIT_INFO, ALWAYS, NEVER)                                                              \
    X(VM_EXIT_INTERRUPTION_INFORMATION, 0x4404, 32, EXIT_INFO, ALWAYS, NEVER)                                         \
    X(VM_EXIT_INTERRUPTION_ERROR_CODE, 0x4406, 32, EXIT_INFO, ALWAYS, NEVER)                                          \
    X(IDT_VECTORING_INFORMATION_FIELD, 0x4408, 32, EXIT_INFO, ALWAYS, NEVER)                                          \
    X(IDT_VECTORING_ERROR_CODE, 0x440a, 32, EXIT_INFO, ALWAYS, NEVER)                                                 \
    X(VM_EXIT_INSTRUCTION_LENGTH, 0x440c, 32, EXIT_INFO, ALWAYS, NEVER)                                               \
    X(VM_EXIT_INSTRUCTION_INFORMATION, 0x440e, 32, EXIT_INFO, ALWAYS, NEVER)                                          \
    /* 32-bit, guest state */                                                                                         \
    X(GUEST_ES_LIMIT, 0x4800, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_CS_LIMIT, 0x4802, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_SS_LIMIT, 0x4804, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_DS_LIMIT, 0x4806, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_FS_LIMIT, 0x4808, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_GS_LIMIT, 0x480a, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_LDTR_LIMIT, 0x480c, 32, GUEST, ALWAYS, NEVER)                                                             \
    X(GUEST_TR_LIMIT, 0x480e, 32, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_GDTR_LIMIT, 0x4810, 32, GUEST, ALWAYS, NEVER)                                                             \
    X(GUEST_IDTR_LIMIT, 0x4812, 32, GUEST, ALWAYS, NEVER)                                                             \
    X(GUEST_ES_ACCESS_RIGHTS, 0x4814, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_CS_ACCESS_RIGHTS, 0x4816, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_SS_ACCESS_RIGHTS, 0x4818, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_DS_ACCESS_RIGHTS, 0x481a, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_FS_ACCESS_RIGHTS, 0x481c, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_GS_ACCESS_RIGHTS, 0x481e, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_LDTR_ACCESS_RIGHTS, 0x4820, 32, GUEST, ALWAYS, NEVER)                                                     \
    X(GUEST_TR_ACCESS_RIGHTS, 0x4822, 32, GUEST, ALWAYS, NEVER)                                                       \
    X(GUEST_INTERRUPTIBILITY_STATE, 0x4824, 32, GUEST, ALWAYS, NEVER)                                                 \
    X(GUEST_ACTIVITY_STATE, 0x4826, 32, GUEST, ALWAYS, NEVER)                                                         \
    X(GUEST_SMBASE, 0x4828, 32, GUEST, ALWAYS, NEVER)                                                                 \
    X(GUEST_IA32_SYSENTER_CS, 0x482a, 32, GUEST, ALWAYS, NEVER)                                                       \
    R(0x482c)                                                                                                         \
    X(VMX_PREEMPTION_TIMER_VALUE, 0x482e, 32, GUEST, PIN_ACTIVATE_VMX_PREEMPTION_TIMER, NEVER)                        \
    /* 32-bit, host state */                                                                                          \
    X(HOST_IA32_SYSENTER_CS, 0x4c00, 32, HOST, ALWAYS, NEVER)                                                         \
    /* natural-width, control */                                                                                      \
    X(CR0_GUEST_HOST_MASK, 0x6000, NATURAL, CONTROL, ALWAYS, NEVER)                                                   \
    X(CR4_GUEST_HOST_MASK, 0x6002, NATURAL, CONTROL, ALWAYS, NEVER)                                                   \
    X(CR0_READ_SHADOW, 0x6004, NATURAL, CONTROL, ALWAYS, NEVER)                                                       \
    X(CR4_READ_SHADOW, 0x6006, NATURAL, CONTROL, ALWAYS, NEVER)                                                       \
    X(CR3_TARGET_VALUE_0, 0x6008, NATURAL, CONTROL, CR3_TARGETS_1, NEVER)                                             \
    X(CR3_TARGET_VALUE_1, 0x600a, NATURAL, CONTROL, CR3_TARGETS_2, NEVER)                                             \
    X(CR3_TARGET_VALUE_2, 0x600c, NATURAL, CONTROL, CR3_TARGETS_3, NEVER)                                             \
    X(CR3_TARGET_VALUE_3, 0x600e, NATURAL, CONTROL, CR3_TARGETS_4, NEVER)                                             \
    /* natural-width, VM-exit information (read-only) */                                                              \
    X(EXIT_QUALIFICATION, 0x6400, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                  \
    X(IO_RCX, 0x6402, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                              \
    X(IO_RSI, 0x6404, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                              \
    X(IO_RDI, 0x6406, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                              \
    X(IO_RIP, 0x6408, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                              \
    X(GUEST_LINEAR_ADDRESS, 0x640a, NATURAL, EXIT_INFO, ALWAYS, NEVER)                                                \
    /* natural-width, guest state */                                                                                  \
    X(GUEST_CR0, 0x6800, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_CR3, 0x6802, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_CR4, 0x6804, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_ES_BASE, 0x6806, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_CS_BASE, 0x6808, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_SS_BASE, 0x680a, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_DS_BASE, 0x680c, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_FS_BASE, 0x680e, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_GS_BASE, 0x6810, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_LDTR_BASE, 0x6812, NATURAL, GUEST, ALWAYS, NEVER)                                                         \
    X(GUEST_TR_BASE, 0x6814, NATURAL, GUEST, ALWAYS, NEVER)                                                           \
    X(GUEST_GDTR_BASE, 0x6816, NATURAL, GUEST, ALWAYS, NEVER)                                                         \
    X(GUEST_IDTR_BASE, 0x6818, NATURAL, GUEST, ALWAYS, NEVER)                                                         \
    X(GUEST_DR7, 0x681a, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_RSP, 0x681c, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_RIP, 0x681e, NATURAL, GUEST, ALWAYS, NEVER)                                                               \
    X(GUEST_RFLAGS, 0x6820, NATURAL, GUEST, ALWAYS, NEVER)                                                            \
    X(GUEST_PENDING_DEBUG_EXCEPTIONS, 0x6822, NATURAL, GUEST, ALWAYS, NEVER)                                          \
    X(GUEST_IA32_SYSENTER_ESP, 0x6824, NATURAL, GUEST, ALWAYS, NEVER)                                                 \
    X(GUEST_IA32_SYSENTER_EIP, 0x6826, NATURAL, GUEST, ALWAYS, NEVER)                                                 \
    X(GUEST_IA32_S_CET, 0x6828, NATURAL, GUEST, ENTRY_LOAD_CET_STATE, NEVER)                                          \
    X(GUEST_SSP, 0x682a, NATURAL, GUEST, ENTRY_LOAD_CET_STATE, NEVER)                                                 \
    X(GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, 0x682c, NATURAL, GUEST, ENTRY_LOAD_CET_STATE, NEVER)                       \
    /* natural-width, host state */                                                                                   \
    X(HOST_CR0, 0x6c00, NATURAL, HOST, ALWAYS, NEVER)                                                                 \
    X(HOST_CR3, 0x6c02, NATURAL, HOST, ALWAYS, NEVER)                                                                 \
    X(HOST_CR4, 0x6c04, NATURAL, HOST, ALWAYS, NEVER)                                                                 \
    X(HOST_FS_BASE, 0x6c06, NATURAL, HOST, ALWAYS, NEVER)                                                             \
    X(HOST_GS_BASE, 0x6c08, NATURAL, HOST, ALWAYS, NEVER)                                                             \
    X(HOST_TR_BASE, 0x6c0a, NATURAL, HOST, ALWAYS, NEVER)                                                             \
    X(HOST_GDTR_BASE, 0x6c0c, NATURAL, HOST, ALWAYS, NEVER)                                                           \
    X(HOST_IDTR_BASE, 0x6c0e, NATURAL, HOST, ALWAYS, NEVER)                                                           \
    X(HOST_IA32_SYSENTER_ESP, 0x6c10, NATURAL, HOST, ALWAYS, NEVER)                                                   \
    X(HOST_IA32_SYSENTER_EIP, 0x6c12, NATURAL, HOST, ALWAYS, NEVER)                                                   \
    X(HOST_RSP, 0x6c14, NATURAL, HOST, ALWAYS, NEVER)                                                                 \
    X(HOST_RIP, 0x6c16, NATURAL, HOST, ALWAYS, NEVER)                                                                 \
    X(HOST_IA32_S_CET, 0x6c18, NATURAL, HOST, EXIT_LOAD_CET_STATE, NEVER)                                             \
    X(HOST_SSP, 0x6c1a, NATURAL, HOST, EXIT_LOAD_CET_STATE, NEVER)                                                    \
    X(HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, 0x6c1c, NATURAL, HOST, EXIT_LOAD_CET_STATE, NEVER)

/* The list without its gaps. */
#define HVCTL_VMCS_FIELDS(X) HVCTL_VMCS_SLOTS(X, HVCTL_VMCS_SKIP)
#define HVCTL_VMCS_SKIP(encoding)

/* HVCTL_VMCS_GUEST_CR3 and so on: the operand of VMREAD and VMWRITE. Add 1 for the high half of a 64-bit field. */
enum hvctl_vmcs_field {
#define HVCTL_X(name, encoding, width, type, when, or_when) HVCTL_VMCS_##name = (encoding),
    HVCTL_VMCS_FIELDS(HVCTL_X)
#undef HVCTL_X
    HVCTL_VMCS_NO_FIELD = 0x7fffffff /* an encoding that can never name a field: its reserved bits are set */
};

/* HVCTL_VMCS_SLOT_GUEST_CR3 and so on: dense numbers from 0, in the order of the list. */
enum hvctl_vmcs_slot {
#define HVCTL_X(name, encoding, width, type, when, or_when) HVCTL_VMCS_SLOT_##name,
#define HVCTL_R(encoding) HVCTL_VMCS_SLOT_##encoding,
    HVCTL_VMCS_SLOTS(HVCTL_X, HVCTL_R)
#undef HVCTL_X
#undef HVCTL_R
    HVCTL_VMCS_SLOT_COUNT /* how many there are; also "no slot" */
};

/* Bits 14:13 and 11:10 of an encoding. */
enum hvctl_vmcs_width { HVCTL_WIDTH_16, HVCTL_WIDTH_64, HVCTL_WIDTH_32, HVCTL_WIDTH_NATURAL };
enum hvctl_vmcs_type { HVCTL_TYPE_CONTROL, HVCTL_TYPE_EXIT_INFO, HVCTL_TYPE_GUEST, HVCTL_TYPE_HOST };

/* What a 32-bit value says as an encoding, whether or not such a field exists. */
struct hvctl_vmcs_encoding {
    enum hvctl_vmcs_width width;
    enum hvctl_vmcs_type type;
    unsigned index;      /* 0 to 511 */
    bool high;           /* names bits 63:32 of a 64-bit field */
    uint32_t reserved;   /* the reserved bits that are set: 12 and 31:15 */
    bool well_formed;    /* no reserved bit, and "high" only with a 64-bit width */
};

/* Take an encoding apart; every 32-bit value is accepted. SDM vol. 3, "Structure of VMCS Component Encoding". */
static inline struct hvctl_vmcs_encoding hvctl_vmcs_decode(uint32_t encoding)
{
    struct hvctl_vmcs_encoding out;

    out.width = (enum hvctl_vmcs_width)(encoding >> 13 & 3u);
    out.type = (enum hvctl_vmcs_type)(encoding >> 10 & 3u);
    out.index = encoding >> 1 & 0x1ffu;
    out.high = (encoding & 1u) != 0;
    out.reserved = encoding & UINT32_C(0xffff9000);
    out.well_formed = out.reserved == 0 && (!out.high || out.width == HVCTL_WIDTH_64);
    return out;
}

/* The encoding with this width, type and index (0 to 511; higher bits are dropped), full access. */
static inline uint32_t hvctl_vmcs_encode(enum hvctl_vmcs_width width, enum hvctl_vmcs_type type, unsigned index)
{
    return (uint32_t)width << 13 | (uint32_t)type << 10 | (uint32_t)(index & 0x1ffu) << 1;
}

/* How many bits a field of this width holds; natural width is that of a 64-bit CPU. */
static inline unsigned hvctl_vmcs_width_bits(enum hvctl_vmcs_width width)
{
    return width == HVCTL_WIDTH_16 ? 16u : width == HVCTL_WIDTH_32 ? 32u : 64u;
}

/*
 * Where in the list the fields of a width and a type begin; part is width << 2 | type, as the two lie in an encoding.
 * They end where those of part + 1 begin; 16 is the end of the list, and the largest part.
 */
static inline unsigned hvctl_vmcs_part_start(unsigned part)
{
    static const uint8_t first[17] = {
        HVCTL_VMCS_SLOT_VIRTUAL_PROCESSOR_IDENTIFIER,    HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR,
        HVCTL_VMCS_SLOT_GUEST_ES_SELECTOR,               HVCTL_VMCS_SLOT_HOST_ES_SELECTOR,
        HVCTL_VMCS_SLOT_ADDRESS_OF_IO_BITMAP_A,          HVCTL_VMCS_SLOT_GUEST_PHYSICAL_ADDRESS,
        HVCTL_VMCS_SLOT_VMCS_LINK_POINTER,               HVCTL_VMCS_SLOT_HOST_IA32_PAT,
        HVCTL_VMCS_SLOT_PIN_BASED_VM_EXECUTION_CONTROLS, HVCTL_VMCS_SLOT_VM_INSTRUCTION_ERROR,
        HVCTL_VMCS_SLOT_GUEST_ES_LIMIT,                  HVCTL_VMCS_SLOT_HOST_IA32_SYSENTER_CS,
        HVCTL_VMCS_SLOT_CR0_GUEST_HOST_MASK,             HVCTL_VMCS_SLOT_EXIT_QUALIFICATION,
        HVCTL_VMCS_SLOT_GUEST_CR0,                       HVCTL_VMCS_SLOT_HOST_CR0,
        HVCTL_VMCS_SLOT_COUNT,
    };

    return first[part];
}

/*
 * The slot of an encoding, in constant time; HVCTL_VMCS_SLOT_COUNT if the list has no room for it. Both halves of a
 * 64-bit field have one slot. A slot may still be a gap: hvctl_vmcs_field_name tells.
 */
static inline enum hvctl_vmcs_slot hvctl_vmcs_slot(uint32_t encoding)
{
    struct hvctl_vmcs_encoding field = hvctl_vmcs_decode(encoding);
    unsigned part = (unsigned)field.width << 2 | (unsigned)field.type;
    unsigned slot = hvctl_vmcs_part_start(part) + field.index;

    if (!field.well_formed || slot >= hvctl_vmcs_part_start(part + 1))
        return HVCTL_VMCS_SLOT_COUNT;
    return (enum hvctl_vmcs_slot)slot;
}

/* One row of the list. A gap has no name. */
struct hvctl_vmcs_field_row {
    const char *name; /* "GUEST_CR3", or NULL for a gap */
    uint32_t encoding;
    enum hvctl_vmx_control when;    /* the field exists where this may be 1 ... */
    enum hvctl_vmx_control or_when; /* ... or this */
};

/* The row of a slot; NULL after the last. */
static inline const struct hvctl_vmcs_field_row *hvctl_vmcs_slot_info(unsigned slot)
{
    static const struct hvctl_vmcs_field_row list[HVCTL_VMCS_SLOT_COUNT] = {
#define HVCTL_X(name, encoding, width, type, when, or_when) {#name, encoding, HVCTL_##when, HVCTL_##or_when},
#define HVCTL_R(encoding) {NULL, encoding, HVCTL_NEVER, HVCTL_NEVER},
        HVCTL_VMCS_SLOTS(HVCTL_X, HVCTL_R)
#undef HVCTL_X
#undef HVCTL_R
    };

    return slot < (unsigned)HVCTL_VMCS_SLOT_COUNT ? &list[slot] : NULL;
}

/* The row of a field's encoding, full or high; NULL if no field has it. */
static inline const struct hvctl_vmcs_field_row *hvctl_vmcs_field_info(uint32_t encoding)
{
    const struct hvctl_vmcs_field_row *info = hvctl_vmcs_slot_info((unsigned)hvctl_vmcs_slot(encoding));

    return info && info->name ? info : NULL;
}

/* "GUEST_CR3"; the high half of a 64-bit field has the field's name. NULL if no field has this encoding. */
HVCTL_API const char *hvctl_vmcs_field_name(uint32_t encoding);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_vmcs_field_name(uint32_t encoding)
{
    const struct hvctl_vmcs_field_row *info = hvctl_vmcs_field_info(encoding);

    return info ? info->name : NULL;
}
#endif

/*
 * The encoding of the field called name, length bytes long, as in hvctl_vmcs_field_name; HVCTL_VMCS_NO_FIELD if there
 * is none.
 */
static inline uint32_t hvctl_vmcs_field_by_name(const char *name, size_t length)
{
    unsigned slot;

    for (slot = 0; slot < (unsigned)HVCTL_VMCS_SLOT_COUNT; slot++) {
        const struct hvctl_vmcs_field_row *info = hvctl_vmcs_slot_info(slot);
        size_t i = 0;

        if (!info->name)
            continue;
        while (i < length && info->name[i] == name[i] && name[i])
            i++;
        if (i == length && !info->name[i])
            return info->encoding;
    }
    return (uint32_t)HVCTL_VMCS_NO_FIELD;
}

#endif
