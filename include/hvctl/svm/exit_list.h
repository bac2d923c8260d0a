/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The one list of SVM's exit codes. Codes 0 to A6H are also the positions of the intercept bits in the VMCB: word code
 * / 32, bit code % 32. APM vol. 2, appendix "SVM Intercept Exit Codes".
 */
#ifndef HVCTL_SVM_EXIT_LIST_H
#define HVCTL_SVM_EXIT_LIST_H

#include "../common/linkage.h"
#include "../../hvpt/std.h"

/*
 * X(name, code). 404H and 406H are error codes of #VC in the same range of numbers, not exits; 407H is from kernel
 * patches, not in the manual yet.
 */
#define HVCTL_SVM_EXITS(X) \
    X(CR0_READ, 0x0) \
    X(CR1_READ, 0x1) \
    X(CR2_READ, 0x2) \
    X(CR3_READ, 0x3) \
    X(CR4_READ, 0x4) \
    X(CR5_READ, 0x5) \
    X(CR6_READ, 0x6) \
    X(CR7_READ, 0x7) \
    X(CR8_READ, 0x8) \
    X(CR9_READ, 0x9) \
    X(CR10_READ, 0xa) \
    X(CR11_READ, 0xb) \
    X(CR12_READ, 0xc) \
    X(CR13_READ, 0xd) \
    X(CR14_READ, 0xe) \
    X(CR15_READ, 0xf) \
    X(CR0_WRITE, 0x10) \
    X(CR1_WRITE, 0x11) \
    X(CR2_WRITE, 0x12) \
    X(CR3_WRITE, 0x13) \
    X(CR4_WRITE, 0x14) \
    X(CR5_WRITE, 0x15) \
    X(CR6_WRITE, 0x16) \
    X(CR7_WRITE, 0x17) \
    X(CR8_WRITE, 0x18) \
    X(CR9_WRITE, 0x19) \
    X(CR10_WRITE, 0x1a) \
    X(CR11_WRITE, 0x1b) \
    X(CR12_WRITE, 0x1c) \
    X(CR13_WRITE, 0x1d) \
    X(CR14_WRITE, 0x1e) \
    X(CR15_WRITE, 0x1f) \
    X(DR0_READ, 0x20) \
    X(DR1_READ, 0x21) \
    X(DR2_READ, 0x22) \
    X(DR3_READ, 0x23) \
    X(DR4_READ, 0x24) \
    X(DR5_READ, 0x25) \
    X(DR6_READ, 0x26) \
    X(DR7_READ, 0x27) \
    X(DR8_READ, 0x28) \
    X(DR9_READ, 0x29) \
    X(DR10_READ, 0x2a) \
    X(DR11_READ, 0x2b) \
    X(DR12_READ, 0x2c) \
    X(DR13_READ, 0x2d) \
    X(DR14_READ, 0x2e) \
    X(DR15_READ, 0x2f) \
    X(DR0_WRITE, 0x30) \
    X(DR1_WRITE, 0x31) \
    X(DR2_WRITE, 0x32) \
    X(DR3_WRITE, 0x33) \
    X(DR4_WRITE, 0x34) \
    X(DR5_WRITE, 0x35) \
    X(DR6_WRITE, 0x36) \
    X(DR7_WRITE, 0x37) \
    X(DR8_WRITE, 0x38) \
    X(DR9_WRITE, 0x39) \
    X(DR10_WRITE, 0x3a) \
    X(DR11_WRITE, 0x3b) \
    X(DR12_WRITE, 0x3c) \
    X(DR13_WRITE, 0x3d) \
    X(DR14_WRITE, 0x3e) \
    X(DR15_WRITE, 0x3f) \
    X(EXCP_DE, 0x40) \
    X(EXCP_DB, 0x41) \
    X(EXCP_RESERVED_NMI_VECTOR, 0x42) \
    X(EXCP_BP, 0x43) \
    X(EXCP_OF, 0x44) \
    X(EXCP_BR, 0x45) \
    X(EXCP_UD, 0x46) \
    X(EXCP_NM, 0x47) \
    X(EXCP_DF, 0x48) \
    X(EXCP_RESERVED_9, 0x49) \
    X(EXCP_TS, 0x4a) \
    X(EXCP_NP, 0x4b) \
    X(EXCP_SS, 0x4c) \
    X(EXCP_GP, 0x4d) \
    X(EXCP_PF, 0x4e) \
    X(EXCP_RESERVED_15, 0x4f) \
    X(EXCP_MF, 0x50) \
    X(EXCP_AC, 0x51) \
    X(EXCP_MC, 0x52) \
    X(EXCP_XF, 0x53) \
    X(EXCP_VE_RESERVED, 0x54) \
    X(EXCP_CP, 0x55) \
    X(EXCP_22, 0x56) \
    X(EXCP_23, 0x57) \
    X(EXCP_24, 0x58) \
    X(EXCP_25, 0x59) \
    X(EXCP_26, 0x5a) \
    X(EXCP_27, 0x5b) \
    X(EXCP_HV, 0x5c) \
    X(EXCP_VC, 0x5d) \
    X(EXCP_SX, 0x5e) \
    X(EXCP_RESERVED_31, 0x5f) \
    X(INTR, 0x60) \
    X(NMI, 0x61) \
    X(SMI, 0x62) \
    X(INIT, 0x63) \
    X(VINTR, 0x64) \
    X(CR0_SEL_WRITE, 0x65) \
    X(IDTR_READ, 0x66) \
    X(GDTR_READ, 0x67) \
    X(LDTR_READ, 0x68) \
    X(TR_READ, 0x69) \
    X(IDTR_WRITE, 0x6a) \
    X(GDTR_WRITE, 0x6b) \
    X(LDTR_WRITE, 0x6c) \
    X(TR_WRITE, 0x6d) \
    X(RDTSC, 0x6e) \
    X(RDPMC, 0x6f) \
    X(PUSHF, 0x70) \
    X(POPF, 0x71) \
    X(CPUID, 0x72) \
    X(RSM, 0x73) \
    X(IRET, 0x74) \
    X(SWINT, 0x75) \
    X(INVD, 0x76) \
    X(PAUSE, 0x77) \
    X(HLT, 0x78) \
    X(INVLPG, 0x79) \
    X(INVLPGA, 0x7a) \
    X(IOIO, 0x7b) \
    X(MSR, 0x7c) \
    X(TASK_SWITCH, 0x7d) \
    X(FERR_FREEZE, 0x7e) \
    X(SHUTDOWN, 0x7f) \
    X(VMRUN, 0x80) \
    X(VMMCALL, 0x81) \
    X(VMLOAD, 0x82) \
    X(VMSAVE, 0x83) \
    X(STGI, 0x84) \
    X(CLGI, 0x85) \
    X(SKINIT, 0x86) \
    X(RDTSCP, 0x87) \
    X(ICEBP, 0x88) \
    X(WBINVD, 0x89) \
    X(MONITOR, 0x8a) \
    X(MWAIT, 0x8b) \
    X(MWAIT_CONDITIONAL, 0x8c) \
    X(XSETBV, 0x8d) \
    X(RDPRU, 0x8e) \
    X(EFER_WRITE_TRAP, 0x8f) \
    X(CR0_WRITE_TRAP, 0x90) \
    X(CR1_WRITE_TRAP, 0x91) \
    X(CR2_WRITE_TRAP, 0x92) \
    X(CR3_WRITE_TRAP, 0x93) \
    X(CR4_WRITE_TRAP, 0x94) \
    X(CR5_WRITE_TRAP, 0x95) \
    X(CR6_WRITE_TRAP, 0x96) \
    X(CR7_WRITE_TRAP, 0x97) \
    X(CR8_WRITE_TRAP, 0x98) \
    X(CR9_WRITE_TRAP, 0x99) \
    X(CR10_WRITE_TRAP, 0x9a) \
    X(CR11_WRITE_TRAP, 0x9b) \
    X(CR12_WRITE_TRAP, 0x9c) \
    X(CR13_WRITE_TRAP, 0x9d) \
    X(CR14_WRITE_TRAP, 0x9e) \
    X(CR15_WRITE_TRAP, 0x9f) \
    X(INVLPGB, 0xa0) \
    X(INVLPGB_ILLEGAL, 0xa1) \
    X(INVPCID, 0xa2) \
    X(MCOMMIT, 0xa3) \
    X(TLBSYNC, 0xa4) \
    X(BUSLOCK, 0xa5) \
    X(IDLE_HLT, 0xa6) \
    X(NPF, 0x400) \
    X(AVIC_INCOMPLETE_IPI, 0x401) \
    X(AVIC_NOACCEL, 0x402) \
    X(VMGEXIT, 0x403) \
    X(PAGE_NOT_VALIDATED_ERROR_CODE, 0x404) \
    X(NOT_RESTARTABLE_ERROR_CODE, 0x406) \
    X(PML_FULL, 0x407)

/* HVCTL_SVM_EXIT_CPUID and so on. */
enum hvctl_svm_exit_code {
#define HVCTL_X(name, code) HVCTL_SVM_EXIT_##name = (code),
    HVCTL_SVM_EXITS(HVCTL_X)
#undef HVCTL_X
    HVCTL_SVM_INTERCEPT_END = HVCTL_SVM_EXIT_IDLE_HLT + 1 /* codes below this have an intercept bit */
};

/* Codes that an enumerator cannot hold. */
#define HVCTL_SVM_EXIT_HOST_SOFTWARE_RESERVED UINT64_C(0xf0000000)
#define HVCTL_SVM_EXIT_INVALID_PMC UINT64_C(0xfffffffffffffffc)
#define HVCTL_SVM_EXIT_IDLE_REQUIRED UINT64_C(0xfffffffffffffffd)
#define HVCTL_SVM_EXIT_BUSY UINT64_C(0xfffffffffffffffe)
#define HVCTL_SVM_EXIT_INVALID UINT64_C(0xffffffffffffffff)

/* "NPF", "CPUID"; NULL for a number that is no exit code. Pass all 64 bits of EXITCODE. */
HVCTL_API const char *hvctl_svm_exit_name(uint64_t exit_code);

#if !defined(HVCTL_EXTERN) || defined(HVCTL_IMPLEMENT)
HVCTL_API const char *hvctl_svm_exit_name(uint64_t exit_code)
{
    switch (exit_code) {
#define HVCTL_X(name, code) case code: return #name;
    HVCTL_SVM_EXITS(HVCTL_X)
#undef HVCTL_X
    case HVCTL_SVM_EXIT_HOST_SOFTWARE_RESERVED: return "HOST_SOFTWARE_RESERVED";
    case HVCTL_SVM_EXIT_INVALID_PMC: return "INVALID_PMC";
    case HVCTL_SVM_EXIT_IDLE_REQUIRED: return "IDLE_REQUIRED";
    case HVCTL_SVM_EXIT_BUSY: return "BUSY";
    case HVCTL_SVM_EXIT_INVALID: return "INVALID";
    default: return NULL;
    }
}
#endif

#endif
