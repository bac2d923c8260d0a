# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Where an emulator differs from the architecture's manual: the manual wins, and the check is expected to fail here.

One record a deviation: the emulator, its versions, the check by its name in the kernel's output, what the emulator gives
instead ("" for any), and the manual's section that says otherwise. A failure that is not in this table is a failure.
"""
import fnmatch
from collections import namedtuple

Deviation = namedtuple("Deviation", "emulator versions check got manual")


class Versions:
    """All versions from first up to, and without, fixed; either may be None."""

    def __init__(self, first=None, fixed=None):
        self.first, self.fixed = first, fixed

    def __contains__(self, version):
        return (self.first is None or version >= self.first) and (self.fixed is None or version < self.fixed)


ALL = Versions()
SINCE_10 = Versions((8, 0))           # seen in 10.0 and not in 7.2; those between have not been looked at
BOCHS = Versions((2, 7), (3, 2))      # 2.7, 2.8, 3.0 and 3.1 have been looked at, later ones have not
ONLY_2_7 = Versions((2, 7), (2, 8))
BOCHS_2_8 = Versions((2, 8), (3, 0))
SINCE_2_8 = Versions((2, 8), (3, 2))
BEFORE_3_1 = Versions((2, 8), (3, 1))   # 2.7 has no such thing
BOCHS_2_7 = Versions((2, 7), (3, 0))  # mended in 3.0
BOCHS_3_0 = Versions((2, 7), (3, 1))  # mended in 3.1
BOCHS_3 = Versions((3, 0), (3, 2))    # 2.7 has no such thing
BOCHS_3_1 = Versions((3, 1), (3, 2))  # new in 3.1

DEVIATIONS = [
    Deviation("Bochs", BOCHS_3_1, "processor: IDIV of 64 bits", "",
              "SDM vol. 2, IDIV: the quotient of RDX:RAX; that of Bochs 3.1 is another each time, whatever the operand"),
    Deviation("Bochs", BOCHS_3, "VM exits: vmread_reg: exit qualification", "",
              "SDM vol. 3, Exit Qualification: 0 without a displacement; Bochs gives what its cache of decoded instructions held there before, seldom not 0 in 3.0"),
    Deviation("Bochs", BOCHS_3, "VM exits: vmread_reg: in words", "", "SDM vol. 3, Exit Qualification: 0 without a displacement"),
    Deviation("Bochs", BOCHS_3, "VM exits: vmwrite_reg: exit qualification", "",
              "SDM vol. 3, Exit Qualification: 0 without a displacement"),
    Deviation("Bochs", BOCHS_3, "VM exits: vmwrite_reg: in words", "", "SDM vol. 3, Exit Qualification: 0 without a displacement"),
    Deviation("Bochs", BOCHS, "EPT: 2M page, leaf: bit 12: misconfiguration", "12",
              "SDM vol. 3, EPT Misconfigurations: bits 20:12 of an entry that maps a 2-MByte page are reserved"),
    Deviation("Bochs", BOCHS, "EPT: 1G page, leaf: bit 12: misconfiguration", "12",
              "SDM vol. 3, EPT Misconfigurations: bits 29:12 of an entry that maps a 1-GByte page are reserved"),
    Deviation("Bochs", BOCHS_2_7, "VMX on EPT: PML: the page that was written is in the log", "40003008",
              "SDM vol. 3, Page-Modification Logging: bits 11:0 of the value written are always 0"),
    Deviation("Bochs", BOCHS, "VMX on EPT: #VE: information area, EPTP index", "0",
              "SDM vol. 3, Virtualization-Exception Information: the EPTP-index control is at offset 32"),
    Deviation("Bochs", BOCHS_2_7, "VMX on EPT: SPP: odd bit of a vector: exit reason", "12",
              "SDM vol. 3, Sub-Page Write Permissions: an odd bit of a permission vector is an SPP misconfiguration"),
    Deviation("Bochs", BOCHS_2_7, "VM exits: monitor trap flag: *", "",
              "SDM vol. 3, Monitor Trap Flag: an MTF VM exit is pending after the first instruction"),
    Deviation("Bochs", BOCHS_2_7, "enable: VM_CR can be read", "",
              "APM vol. 2, SVM Related MSRs: VM_CR is there with SVM"),
    Deviation("Bochs", BOCHS, "world switch: the guest saw its CR2", "0",
              "APM vol. 2, VMRUN Instruction: CR2 is loaded from the VMCB with the rest of the guest's state"),
    Deviation("Bochs", BOCHS, "VMRUN: CR3: bit 60: EXITCODE, low half", "81",
              "APM vol. 2, VMRUN, Canonicalization and Consistency Checks: any MBZ bit of CR3 set"),
    Deviation("Bochs", BOCHS_3_1, "VMEXITs: pause: *", "",
              "APM vol. 2, PAUSE Intercept Filtering: with a filter count of 0 every PAUSE exits; Bochs lets one pass"),
    Deviation("Bochs", BOCHS_3_1, "VMEXITs: exit code 77, PAUSE: it came", "", "APM vol. 2, PAUSE Intercept Filtering"),
    # One cause: 2.8 offers "load host IA32_SPEC_CTRL", the control, on tigerlake, and has not its field
    Deviation("Bochs", BOCHS_2_8, "VM entry: the CPU has every field that the field table says it has", "",
              "SDM vol. 3, 64-Bit Host-State Fields: host IA32_SPEC_CTRL is there with the VM-exit control that loads it"),
    Deviation("Bochs", BOCHS_2_8, "VMCS image: *", "",
              "SDM vol. 3, 64-Bit Host-State Fields: host IA32_SPEC_CTRL is there with the VM-exit control that loads it"),
    Deviation("Bochs", BOCHS_2_8, "README: *", "",
              "SDM vol. 3, 64-Bit Host-State Fields: host IA32_SPEC_CTRL is there with the VM-exit control that loads it"),
    Deviation("Bochs", BOCHS_3, "VM entry: the field table has every field that the CPU has", "2",
              "SDM vol. 3, 64-Bit Guest-State Fields: guest IA32_SPEC_CTRL is there with the VM-entry control that loads it"),
    Deviation("Bochs", BOCHS_3, "VM exits: UMWAIT: operands in words", "register RAX",
              "SDM vol. 3, VM-Exit Instruction Information for TPAUSE and UMWAIT: bits 6:3 are the operand register"),
    Deviation("Bochs", BOCHS_3, "VM exits: TPAUSE: operands in words", "register RAX",
              "SDM vol. 3, VM-Exit Instruction Information for TPAUSE and UMWAIT: bits 6:3 are the operand register"),
    Deviation("Bochs", BOCHS_2_7, "EPT rights: shadow stack, EPTP[[]7] 1, bit 60 ?, write ?: *", "",
              "SDM vol. 3, EPT Violations: with EPTP[7], bit 60 of the leaf decides; Bochs 2.7 has the capability alone"),
    Deviation("Bochs", BOCHS, "VMEXITs: monitor: *", "",
              "APM vol. 2, Instruction Intercepts: MONITOR"),
    Deviation("Bochs", BOCHS, "VMEXITs: virtual interrupt: *", "",
              "APM vol. 2, Virtual Interrupts: taken as soon as the guest can; Bochs waits for the guest to set IF"),
    Deviation("QEMU", SINCE_10, "VMEXITs: from_cr[2348]: *", "",
              "APM vol. 2, Control-Register Intercepts: MOV from CR2, CR3, CR4, CR8; QEMU 10.0 intercepts CR0 alone"),
    Deviation("QEMU", SINCE_10, "VMEXITs: exit code [2348], CR[2348]_READ: it came", "",
              "APM vol. 2, Control-Register Intercepts: MOV from CR2, CR3, CR4, CR8"),
    Deviation("QEMU", ALL, "VMEXITs: invd: *", "", "APM vol. 2, Instruction Intercepts: INVD"),
    Deviation("QEMU", ALL, "VMEXITs: rdtscp: *", "", "APM vol. 2, Instruction Intercepts: RDTSCP"),
    Deviation("QEMU", ALL, "VMEXITs: icebp: *", "", "APM vol. 2, Instruction Intercepts: ICEBP"),
    Deviation("QEMU", ALL, "VMEXITs: XSETBV: *", "", "APM vol. 2, Instruction Intercepts: XSETBV"),
    Deviation("QEMU", ALL, "VMEXITs: task switch by *", "", "APM vol. 2, Task-Switch Intercept"),
    Deviation("QEMU", ALL, "VMEXITs: IOIO: *S of *: EXITINFO1", "",
              "APM vol. 2, EXITINFO1 for IOIO Intercept: bits 9:7 are the address size"),
    Deviation("QEMU", ALL, "VMEXITs: EXCP_BP: *", "", "APM vol. 2, Exception Intercepts: #BP of INT3"),
    Deviation("QEMU", ALL, "VMEXITs: EXCP_OF: *", "", "APM vol. 2, Exception Intercepts: #OF of INTO"),
    Deviation("QEMU", ALL, "VMEXITs: EXCP_XF: *", "", "APM vol. 2, #XF: unmasked SIMD floating-point exceptions"),
    Deviation("QEMU", ALL, "VMEXITs: EXCP_AC: *", "", "APM vol. 2, #AC: an unaligned access with CR0.AM and RFLAGS.AC"),
    Deviation("QEMU", ALL, "VMEXITs: #DF: EXITCODE", "7f",
              "APM vol. 2, Exception Intercepts: #DF is intercepted before a shutdown can follow from it"),
    Deviation("Bochs", BOCHS, "guest walk*: tables that the second level keeps from being updated: *", "",
              "SDM vol. 3, EPT Violations: setting accessed or dirty in a guest's entry is a write that EPT must allow"),
    Deviation("Bochs", BOCHS, "guest walk*, accessed and dirty for EPT: bits 0 of what is reported: *",
              "", "SDM vol. 3, Exit Qualification for EPT Violations: with accessed and dirty flags for EPT, an access to a "
              "guest's table sets bits 0 and 1; Bochs sets 1 alone"),
    Deviation("Bochs", BOCHS, "guest walk: bit 8 in the highest tables of the guest: *", "",
              "APM vol. 2, Long-Mode Page Translation: bit 8 of PML4E and PML5E must be zero"),
    Deviation("QEMU", ALL, "guest walk*: bits 0 of what is reported: *", "",
              "APM vol. 2, Page-Fault Error Code: RSV is reported for a present entry; QEMU leaves P clear"),
    Deviation("QEMU", ALL, "guest walk: bit 8 in the highest tables of the guest: *", "",
              "APM vol. 2, Long-Mode Page Translation: bit 8 of PML4E and PML5E must be zero"),
    Deviation("QEMU", ALL, "guest walk, PAE: directory pointers that an access went by: *", "",
              "APM vol. 2, PAE Paging: a page-directory-pointer entry has no accessed bit; bits 8:5 must be zero"),
    Deviation("QEMU", ALL, "NPT: a reserved bit in a present entry: P is set", "0",
              "APM vol. 2, Page-Fault Error Code: RSV is reported for a present entry"),
    Deviation("QEMU", ALL, "world switch: left to the caller: DR7 has no breakpoints", "402",
              "APM vol. 2, #VMEXIT: disables all breakpoints in the host's DR7"),
    Deviation("QEMU", ALL, "VMRUN: EXITCODE has 64 bits", "ffffffff",
              "APM vol. 2, SVM Intercept Exit Codes: VMEXIT_INVALID is -1 in a field of 64 bits"),
]


# Rules that VM entry or VMRUN breaks or keeps otherwise: differential/vmx_deviations.c and svm_deviations.c have the exact
# conditions. A record that no machine of a run needs is reported.
_RULE = "differential: as the manual says: "
_REGISTERS = "SDM vol. 3, Checks on Guest Control Registers, Debug Registers, and MSRs"
_SEGMENTS = "SDM vol. 3, Checks on Guest Segment Registers"
_OTHER = "SDM vol. 3, Checks on Guest Non-Register State"
_RIP = "SDM vol. 3, Checks on Guest RIP, RFLAGS, and SSP"
_HOST = "SDM vol. 3, Checks on Host Control Registers, MSRs, and SSP"
_EXECUTION = "SDM vol. 3, Checks on VMX Controls, VM-Execution Control Fields"
_ENTRY = "SDM vol. 3, Checks on VMX Controls, VM-Entry Control Fields"
_VMRUN = "APM vol. 2, VMRUN Instruction, Canonicalization and Consistency Checks"
_NESTED = "APM vol. 2, Nested Paging and VMRUN/VMEXIT"
_INJECTION = "APM vol. 2, Event Injection"
QEMU_LOOKED_AT = Versions((7, 2), (11, 2))  # 7.2, 10.0 and 11.1 have been, later ones have not

RULE_DEVIATIONS = [
    Deviation("Bochs", BOCHS, _RULE + "GUEST.RIP.WIDTH: not checked", "", _RIP),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.DEBUGCTL: not checked", "", _REGISTERS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.PERF_GLOBAL_CTRL: not checked", "", _REGISTERS),
    Deviation("Bochs", BOCHS, _RULE + "HOST.PERF_GLOBAL_CTRL: not checked", "", _HOST),
    Deviation("Bochs", BOCHS, _RULE + "HOST.CR4.CET_WP: checked only if CET state is loaded on VM exit", "", _HOST),
    Deviation("Bochs", BOCHS, _RULE + "MSR.COUNT: not checked; the manual leaves it open", "",
              "SDM vol. 3, Miscellaneous Data"),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.IA32E.PG_PAE: CR0.PG is not checked", "", _REGISTERS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.RFLAGS.VM: checked in IA-32e mode only", "", _RIP),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.PENDING_DEBUG.RESERVED: bits 63:32 are not checked", "", _OTHER),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.PENDING_DEBUG.BS_SET: not checked", "", _OTHER),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.PENDING_DEBUG.BS_CLEAR: not checked", "", _OTHER),
    Deviation("Bochs", BOCHS_3_0, _RULE + "GUEST.INTERRUPTIBILITY.VNMI: not checked", "", _OTHER),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.ACTIVITY.HLT_EVENT: not checked", "", _OTHER),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.ACTIVITY.SHUTDOWN_EVENT: vector 18 passes with any type", "", _OTHER),
    Deviation("Bochs", BOCHS, _RULE + "CTRL.INJECT.ERROR_CODE_TYPE: not checked where IA32_VMX_BASIC[[]56] is 1", "",
              _ENTRY),
    Deviation("Bochs", BOCHS, _RULE + "CTRL.INJECT.ERROR_CODE_REAL: not checked where IA32_VMX_BASIC[[]56] is 1", "",
              _ENTRY),
    Deviation("Bochs", BOCHS, _RULE + "CTRL.ENTRY.SMM: entry to SMM fails as guest state", "", _ENTRY),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.CS.DPL_NONCONFORMING: CS.DPL is compared with CS.RPL, not with SS.DPL", "",
              _SEGMENTS),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.CS.DPL_CONFORMING: CS.DPL is compared with CS.RPL, not with SS.DPL", "",
              _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.BASE_HIGH: a null SS is not checked in 64-bit mode", "",
              _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.S: a null SS is not checked in 64-bit mode", "", _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.P: a null SS is not checked in 64-bit mode", "", _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.G: a null SS is not checked in 64-bit mode", "", _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.AR_RESERVED: a null SS is not checked in 64-bit mode", "",
              _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SS.TYPE: a null SS is not checked in 64-bit mode", "", _SEGMENTS),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.DS.DPL_RPL: type 11 is not checked", "", _SEGMENTS),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.ES.DPL_RPL: type 11 is not checked", "", _SEGMENTS),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.FS.DPL_RPL: type 11 is not checked", "", _SEGMENTS),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.GS.DPL_RPL: type 11 is not checked", "", _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.INTERRUPTIBILITY.NMI_STI: qualification 0 instead of 3", "", _OTHER),
    Deviation("Bochs", ONLY_2_7, _RULE + "GUEST.CS.DPL_NONCONFORMING: fails where CS.DPL and CS.RPL do not go together", "",
              _SEGMENTS),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SSP.WIDTH: fails where SSP is not canonical", "", _RIP),
    Deviation("Bochs", BOCHS, _RULE + "GUEST.SSP.WIDTH: fails where SSP or S_CET has bits 63:32 outside IA-32e mode", "",
              _RIP),
    Deviation("Bochs", SINCE_2_8, _RULE + "CTRL.POSTED.[*]: checked only with TPR shadow", "", _EXECUTION),
    Deviation("Bochs", BOCHS_3, _RULE + "GUEST.PKRS: bits 63:32 are not checked", "", _REGISTERS),
    Deviation("Bochs", BOCHS_3, _RULE + "HOST.PKRS: bits 63:32 are not checked", "", _HOST),
    Deviation("Bochs", BEFORE_3_1, _RULE + "CTRL.POSTED.ALIGN: fails where bits 11:6 are not 0", "", _EXECUTION),
    Deviation("Bochs", BOCHS_3_0, _RULE + "SVM.INJ.MODE: not checked", "", _INJECTION),
    Deviation("Bochs", BOCHS, _RULE + "SVM.CR3.MBZ: not checked", "", _VMRUN),
    Deviation("Bochs", BOCHS, _RULE + "SVM.CTRL.IOPM: only where the map begins is checked", "", _VMRUN),
    Deviation("Bochs", BOCHS, _RULE + "SVM.CTRL.MSRPM: only where the map begins is checked", "", _VMRUN),
    Deviation("Bochs", BOCHS, _RULE + "SVM.EFER.MBZ: LMSLE and TCE are refused, though CPUID says they are there", "",
              _VMRUN),
    Deviation("Bochs", BOCHS, _RULE + "SVM.EFER.LME_CS: CS with L and D is refused in every mode", "", _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT,
              _RULE + "SVM.CR4.MBZ: VME to OSXMMEXCPT and PCIDE and PKS are taken whatever CPUID says", "", _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.EFER.MBZ: FFXSR is taken whatever CPUID says", "", _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.INJ.MODE: not checked", "", _INJECTION),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.NP.NCR3: not checked", "", _NESTED),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.NP.G_PAT: not checked", "", _NESTED),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.NP.PDPE: not checked", "", _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.INJ.VECTOR: exception 31 is refused", "", _INJECTION),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.EFER.MBZ: LMSLE is refused, which CPUID does not say is missing", "",
              _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.CR3.MBZ: checked outside long mode", "", _VMRUN),
    Deviation("QEMU", QEMU_LOOKED_AT, _RULE + "SVM.CTRL.MSRPM: a map that ends with the last physical address is refused", "",
              _VMRUN),
]
DEVIATIONS += RULE_DEVIATIONS


def unused(checks):
    """Records of rules whose check was made, and held on every machine that they are about.

    checks: (emulator, version, name, whether it held)."""
    idle = []
    for d in RULE_DEVIATIONS:
        held = [ok for emulator, version, name, ok in checks
                if emulator == d.emulator and version in d.versions and fnmatch.fnmatchcase(name, d.check)]
        if held and all(held):
            idle.append(d)
    return idle


def find(emulator, version, check, got):
    """The record that excuses this failure, or None."""
    for d in DEVIATIONS:
        if d.emulator == emulator and version in d.versions and fnmatch.fnmatchcase(check, d.check) and d.got in ("", got):
            return d
    return None
