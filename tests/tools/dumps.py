# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Made-up dumps in the forms that hypervisors print, and what mail, loggers and terminals do to them. No value is from a real machine."""


def guest(**changes):
    """A 64-bit guest that enters on any CPU with EPT and unrestricted guest. Names are those of KVM's labels."""
    values = {
        "cr0": 0x80050033, "cr0_shadow": 0x80050033, "cr0_mask": 0xfffffffffffffff7,
        "cr4": 0x26f0, "cr4_shadow": 0x6f0, "cr4_mask": 0xffffffffffffe871,
        "cr3": 0x1c0a000, "rsp": 0xffffc90000013e58, "rip": 0xffffffff81000a2c, "rflags": 0x246, "dr7": 0x400,
        "sysenter_esp": 0xfffffe0000002000, "sysenter_cs": 0x10, "sysenter_eip": 0xffffffff81a00d10,
        "cs": (0x10, 0xa09b, 0xffffffff, 0), "ds": (0, 0x1c001, 0xffffffff, 0), "ss": (0x18, 0xc093, 0xffffffff, 0),
        "es": (0, 0x1c001, 0xffffffff, 0), "fs": (0, 0x1c001, 0xffffffff, 0x7f0012345678),
        "gs": (0, 0x1c001, 0xffffffff, 0xffff88803ec00000), "gdtr": (0x7f, 0xfffffe0000001000),
        "ldtr": (0, 0x1c000, 0xffffffff, 0), "idtr": (0xfff, 0xfffffe0000000000),
        "tr": (0x40, 0x8b, 0x206f, 0xfffffe0000003000), "efer": 0xd01, "pat": 0x407050600070106, "debugctl": 0, "pending": 0,
        "blocking": 0, "activity": 0,
        "host_rip": 0xffffffffc0a01180, "host_rsp": 0xffffb00000a1fd18, "host_selectors": (0x10, 0x18, 0, 0, 0, 0, 0x40),
        "host_fs": 0x7f0000000700, "host_gs": 0xffff888fdd440000, "host_tr": 0xfffffe0000047000, "host_gdt": 0xfffffe0000045000,
        "host_idt": 0xfffffe0000000000, "host_cr0": 0x80050033, "host_cr3": 0x10b2a004, "host_cr4": 0x1726e0,
        "host_sysenter_esp": 0xfffffe0000047000, "host_sysenter_cs": 0x10, "host_sysenter_eip": 0xffffffff810015d0,
        "host_efer": 0xd01, "host_pat": 0x407050600070106,
        "pin": 0x3f, "cpu": 0xb5986dfa, "secondary": 0x14ea, "entry": 0xd3ff, "exit": 0x2befff,
        "entry_info": 0, "entry_error": 0, "entry_length": 0, "exit_info": 0, "exit_length": 3,
        "reason": 0x80000021, "qualification": 0, "tsc_offset": 0xffffd19c40be0c87, "ept": 0x10f66001e, "vpid": 2,
    }
    values.update(changes)
    return values


def kvm_old(v):
    """KVM before 5.11."""
    lines = ["*** Guest State ***"] + kvm_guest(v)
    lines += [f"EFER =     0x{v['efer']:016x}  PAT = 0x{v['pat']:016x}"]
    lines += kvm_state(v) + kvm_host(v)
    lines += [f"EFER = 0x{v['host_efer']:016x}  PAT = 0x{v['host_pat']:016x}"]
    lines += ["*** Control State ***", f"PinBased={v['pin']:08x} CPUBased={v['cpu']:08x} SecondaryExec={v['secondary']:08x}",
              f"EntryControls={v['entry']:08x} ExitControls={v['exit']:08x}"]
    return lines + kvm_rest(v)


def kvm_new(v):
    """KVM since 5.18."""
    lines = ["VMCS 00000000b7d0213f, last attempted VM-entry on CPU 17", "*** Guest State ***"] + kvm_guest(v)
    lines += [f"EFER= 0x{v['efer']:016x}", f"PAT = 0x{v['pat']:016x}"]
    lines += kvm_state(v) + kvm_host(v)
    lines += [f"EFER= 0x{v['host_efer']:016x}", f"PAT = 0x{v['host_pat']:016x}"]
    lines += ["*** Control State ***",
              f"CPUBased=0x{v['cpu']:08x} SecondaryExec=0x{v['secondary']:08x} TertiaryExec=0x{0:016x}",
              f"PinBased=0x{v['pin']:08x} EntryControls={v['entry']:08x} ExitControls={v['exit']:08x}"]
    return lines + kvm_rest(v)


def segment(name, part):
    return f"{name + ':':5s} sel=0x{part[0]:04x}, attr=0x{part[1]:05x}, limit=0x{part[2]:08x}, base=0x{part[3]:016x}"


def table(name, part):
    return f"{name}:                           limit=0x{part[0]:08x}, base=0x{part[1]:016x}"


def kvm_guest(v):
    lines = [f"CR0: actual=0x{v['cr0']:016x}, shadow=0x{v['cr0_shadow']:016x}, gh_mask={v['cr0_mask']:016x}",
             f"CR4: actual=0x{v['cr4']:016x}, shadow=0x{v['cr4_shadow']:016x}, gh_mask={v['cr4_mask']:016x}",
             f"CR3 = 0x{v['cr3']:016x}", f"RSP = 0x{v['rsp']:016x}  RIP = 0x{v['rip']:016x}",
             f"RFLAGS=0x{v['rflags']:08x}         DR7 = 0x{v['dr7']:016x}",
             f"Sysenter RSP={v['sysenter_esp']:016x} CS:RIP={v['sysenter_cs']:04x}:{v['sysenter_eip']:016x}"]
    lines += [segment(name, v[name.lower()]) for name in ("CS", "DS", "SS", "ES", "FS", "GS")]
    return lines + [table("GDTR", v["gdtr"]), segment("LDTR", v["ldtr"]), table("IDTR", v["idtr"]), segment("TR", v["tr"])]


def kvm_state(v):
    return [f"DebugCtl = 0x{v['debugctl']:016x}  DebugExceptions = 0x{v['pending']:016x}",
            f"Interruptibility = {v['blocking']:08x}  ActivityState = {v['activity']:08x}"]


def kvm_host(v):
    names = ("CS", "SS", "DS", "ES", "FS", "GS", "TR")
    return ["*** Host State ***", f"RIP = 0x{v['host_rip']:016x}  RSP = 0x{v['host_rsp']:016x}",
            " ".join(f"{name}={value:04x}" for name, value in zip(names, v["host_selectors"])),
            f"FSBase={v['host_fs']:016x} GSBase={v['host_gs']:016x} TRBase={v['host_tr']:016x}",
            f"GDTBase={v['host_gdt']:016x} IDTBase={v['host_idt']:016x}",
            f"CR0={v['host_cr0']:016x} CR3={v['host_cr3']:016x} CR4={v['host_cr4']:016x}",
            f"Sysenter RSP={v['host_sysenter_esp']:016x} CS:RIP={v['host_sysenter_cs']:04x}:{v['host_sysenter_eip']:016x}"]


def kvm_rest(v):
    return ["ExceptionBitmap=00060042 PFECmask=00000000 PFECmatch=00000000",
            f"VMEntry: intr_info={v['entry_info']:08x} errcode={v['entry_error']:08x} ilen={v['entry_length']:08x}",
            f"VMExit: intr_info={v['exit_info']:08x} errcode=00000000 ilen={v['exit_length']:08x}",
            f"        reason={v['reason']:08x} qualification={v['qualification']:016x}",
            "IDTVectoring: info=00000000 errcode=00000000", f"TSC Offset = 0x{v['tsc_offset']:016x}",
            f"EPT pointer = 0x{v['ept']:016x}", "PLE Gap=00000080 Window=00001000",
            f"Virtual processor ID = 0x{v['vpid']:04x}"]


def xen(v, before="d2v0 vmentry failure (reason 0x80000021): Invalid guest state (0)"):
    """Xen's table of segments, with Xen's own copies in brackets."""
    lines = before.split("\n") + ["************* VMCS Area **************", "*** Guest State ***"] + kvm_guest(v)[:3]
    lines += [f"RSP = 0x{v['rsp']:016x} (0x{1:016x})  RIP = 0x{v['rip']:016x} (0x{2:016x})",
              f"RFLAGS=0x{v['rflags']:08x} (0x{3:08x})  DR7 = 0x{v['dr7']:016x}",
              f"Sysenter RSP={v['sysenter_esp']:016x} CS:RIP={v['sysenter_cs']:04x}:{v['sysenter_eip']:016x}",
              "       sel  attr  limit   base"]
    for name in ("CS", "DS", "SS", "ES", "FS", "GS"):
        lines.append(f"  {name}: " + "{:04x} {:05x} {:08x} {:016x}".format(*v[name.lower()]))
    lines += ["GDTR:            {:08x} {:016x}".format(*v["gdtr"]), "LDTR: {:04x} {:05x} {:08x} {:016x}".format(*v["ldtr"]),
              "IDTR:            {:08x} {:016x}".format(*v["idtr"]), "  TR: {:04x} {:05x} {:08x} {:016x}".format(*v["tr"]),
              f"EFER(VMCS) = 0x{v['efer']:016x}  PAT = 0x{v['pat']:016x}",
              "PreemptionTimer = 0x00000000  SM Base = 0x00000000"] + kvm_state(v)
    host = kvm_host(v)
    host[1] = f"RIP = 0x{v['host_rip']:016x} (vmx_asm_vmexit_handler)  RSP = 0x{v['host_rsp']:016x}"
    lines += host + [f"EFER = 0x{v['host_efer']:016x}  PAT = 0x{v['host_pat']:016x}", "*** Control State ***",
                     f"PinBased={v['pin']:08x} CPUBased={v['cpu']:08x}", f"SecondaryExec={v['secondary']:08x} TertiaryExec={0:016x}",
                     f"EntryControls={v['entry']:08x} ExitControls={v['exit']:08x}"]
    rest = kvm_rest(v)
    rest[5:] = [f"TSC Offset = 0x{v['tsc_offset']:016x}  TSC Multiplier = 0x{0:016x}",
                "TPR Threshold = 0x00  PostedIntrVec = 0x00", f"EPT pointer = 0x{v['ept']:016x}  EPTP index = 0x0000",
                "PLE Gap=00000080 Window=00001000", f"Virtual processor ID = 0x{v['vpid']:04x} VMfunc controls = {0:016x}",
                "**************************************"]
    return lines + rest


def vmcb(**changes):
    values = {"cr_read": 0x10, "cr_write": 0x110, "exceptions": 0x60042, "i3": 0xbc4c8027, "i4": 0x624f, "iopm": 0x1089e8000,
              "msrpm": 0x12a3f6000, "asid": 14, "tlb": 0, "int_ctl": 0x1000200, "code": 0xffffffff, "nested": 1,
              "ncr3": 0x12ce61000, "inject": 0, "virt": 2, "efer": 0x1d01, "cr0": 0x80050033, "cr3": 0x1c0a000, "cr4": 0x6f0,
              "dr6": 0xffff0ff0, "dr7": 0x400, "rip": 0xffffffff81000a2c, "rflags": 0x246, "pat": 0x407050600070106,
              "cs": (0x10, 0x29b, 0xffffffff, 0), "ss": (0x18, 0xc93, 0xffffffff, 0), "tr": (0x40, 0x8b, 0x206f, 0xfffffe0000003000)}
    values.update(changes)
    return values


def kvm_vmcb(v, wide=False):
    """KVM's dump_vmcb; wide: one number of 64 bits for the intercepts, as before 5.10."""
    def row(label, text):
        return f"{label + ':':20s}{text}"
    rows = ["VMCB Control Area:", row("cr_read", f"{v['cr_read']:04x}"), row("cr_write", f"{v['cr_write']:04x}"),
            row("dr_read", "00ff"), row("dr_write", "00ff"), row("exceptions", f"{v['exceptions']:08x}"),
            row("intercepts", f"{v['i4'] << 32 | v['i3']:016x}" if wide else f"{v['i3']:08x} {v['i4']:08x}"),
            row("pause filter count", "3000"), row("pause filter threshold", "128"), row("iopm_base_pa", f"{v['iopm']:016x}"),
            row("msrpm_base_pa", f"{v['msrpm']:016x}"), row("tsc_offset", f"{0:016x}"), row("asid", v["asid"]),
            row("tlb_ctl", v["tlb"]), row("int_ctl", f"{v['int_ctl']:08x}"), row("int_vector", "00000000"),
            row("int_state", "00000000"), row("exit_code", f"{v['code']:08x}"), row("exit_info1", f"{0:016x}"),
            row("exit_info2", f"{0:016x}"), row("exit_int_info", "00000000"), row("exit_int_info_err", "00000000"),
            row("nested_ctl", v["nested"]), row("nested_cr3", f"{v['ncr3']:016x}"), row("avic_vapic_bar", f"{0:016x}"),
            row("event_inj", f"{v['inject']:08x}"), row("event_inj_err", "00000000"), row("virt_ext", v["virt"]),
            row("next_rip", f"{0:016x}"), "VMCB State Save Area:"]
    for name in ("es", "cs", "ss", "ds", "fs", "gs", "gdtr", "ldtr", "idtr", "tr"):
        part = v.get(name, (0, 0, 0xffff, 0))
        rows.append(f"{name + ':':6s} s: {part[0]:04x} a: {part[1]:04x} l: {part[2]:08x} b: {part[3]:016x}")
    two = f"{{:16s}}{{:016x}} {{:14s}}{{:016x}}"
    rows += [f"cpl:            0                efer:         {v['efer']:016x}",
             two.format("cr0:", v["cr0"], "cr2:", 0), two.format("cr3:", v["cr3"], "cr4:", v["cr4"]),
             two.format("dr6:", v["dr6"], "dr7:", v["dr7"]), two.format("rip:", v["rip"], "rflags:", v["rflags"]),
             two.format("rsp:", 0, "rax:", 0), two.format("gpat:", v["pat"], "dbgctl:", 0)]
    return rows


def xen_vmcb(v):
    rows = ["Dumping guest's current state at svm_vmexit_handler...",
            "Size of VMCB = 4096, paddr = 0000000847733000, vaddr = ffff830847733000",
            f"cr_intercepts = {v['cr_write'] << 16 | v['cr_read']:#x} dr_intercepts = 0xffffffff exception_intercepts = {v['exceptions']:#x}",
            f"general1_intercepts = {v['i3']:#x} general2_intercepts = {v['i4']:#x}",
            f"iopm_base_pa = {v['iopm']:#x} msrpm_base_pa = {v['msrpm']:#x} tsc_offset = 0",
            f"tlb_control = {v['tlb']:#x} vintr = {v['int_ctl']:#x} int_stat = 0",
            f"event_inj {v['inject']:016x}, valid? 0, ec? 0, type 0, vector 0",
            f"exitcode = {v['code'] | (0xffffffff << 32 if v['code'] == 0xffffffff else 0):#x} exit_int_info = 0",
            "exitinfo1 = 0 exitinfo2 = 0", f"asid = {v['asid']:#x} np_ctrl = {v['nested']:#x}: NP",
            "virtual vmload/vmsave = 0, virt_ext = 0", f"cpl = 0 efer = {v['efer']:#x} star = 0 lstar = 0",
            f"CR0 = 0x{v['cr0']:016x} CR2 = 0x{0:016x}", f"CR3 = 0x{v['cr3']:016x} CR4 = 0x{v['cr4']:016x}",
            f"RSP = 0x{0:016x}  RIP = 0x{v['rip']:016x}", f"RAX = 0x{0:016x}  RFLAGS=0x{v['rflags']:016x}",
            f"DR6 = 0x{v['dr6']:016x}, DR7 = 0x{v['dr7']:016x}", f"KernGSBase = 0x{0:016x} PAT = 0x{v['pat']:016x}",
            f"H_CR3 = 0x{v['ncr3']:016x} CleanBits = 0", "       sel attr  limit   base"]
    return rows + [f"  {name}: " + "{:04x} {:04x} {:08x} {:016x}".format(*v[name.lower()]) for name in ("CS", "SS", "TR")]


def wrap(lines, width):
    """As mail does: at blanks, behind them."""
    out = []
    for line in lines:
        while len(line) > width and " " in line[20:width]:
            at = line.rindex(" ", 0, width) + 1
            out.append(line[:at])
            line = line[at:]
        out.append(line)
    return out


def dmesg(lines, name="kvm_intel: "):
    return [f"[{81244.310557 + i / 1e5:12.6f}] {name}{line}" for i, line in enumerate(lines)]


def quoted_printable(lines):
    text = "\n".join(lines).replace("=", "=3D")
    out = []
    for line in text.split("\n"):
        while len(line) > 75:
            at = 75
            while "=" in line[at - 2:at]:
                at -= 1
            out.append(line[:at] + "=")
            line = line[at:]
        out.append(line)
    return out


WRAPPINGS = {
    "bare": lambda lines: lines,
    "dmesg": dmesg,
    "dmesg with thread ids": lambda lines: [f"[ 81.{i:06d}][ T{i + 100}] kvm_intel: {line}" for i, line in enumerate(lines)],
    "dmesg, levels": lambda lines: [f"<3>[  81.{i:06d}] {line}" for i, line in enumerate(lines)],
    "dmesg -x": lambda lines: [f"kern  :err   : [  81.{i:06d}] kvm_intel: {line}" for i, line in enumerate(lines)],
    "dmesg -T": lambda lines: [f"[Wed Mar  6 10:00:{i % 60:02d} 2024] kvm_intel: {line}" for i, line in enumerate(lines)],
    "journal": lambda lines: [f"Nov 02 09:14:{i % 60:02d} box kernel: kvm_intel: {line}" for i, line in enumerate(lines)],
    "syslog": lambda lines: [f"Nov  2 09:14:{i % 60:02d} box-7 kernel: [ 4242.{i:06d}] {line}" for i, line in enumerate(lines)],
    "ISO stamps": lambda lines: [f"2024-03-07T11:20:00.{i:03d}456+01:00 box kernel: {line}" for i, line in enumerate(lines)],
    "Xen's console": lambda lines: [f"(XEN) [2024-03-07 11:20:00.{i:03d}] {line}" for i, line in enumerate(lines)],
    "Xen's uptime": lambda lines: [f"(XEN) [  123.{i:06d}] {line}" for i, line in enumerate(lines)],
    "a serial logger": lambda lines: [f"11:20:{i % 60:02d}.123 [  81.{i:06d}] kvm_intel: {line}" for i, line in enumerate(lines)],
    "a container's log": lambda lines: [f"kernel | kvm_intel: {line}" for line in lines],
    "ftrace": lambda lines: [f"     CPU 0/KVM-2518 [019] ..... 6384.{i:06d}: bprint: dump_vmcs: {line}" for i, line in enumerate(lines)],
    "CRLF": lambda lines: [line + "\r" for line in lines],
    "quoted twice": lambda lines: ["> > " + line for line in lines],
    "quoted without blanks": lambda lines: [">>>" + line for line in dmesg(lines)],
    "wrapped": lambda lines: wrap(dmesg(lines), 70),
    "wrapped and quoted": lambda lines: ["> " + line for line in wrap(dmesg(lines), 64)],
    "quoted, then wrapped again": lambda lines: wrap(["> > " + line for line in dmesg(lines)], 72),
    "quoted-printable": lambda lines: quoted_printable(dmesg(lines)),
    "HTML": lambda lines: ["<pre>"] + [line.replace("=", "&#61;").replace(" ", "&nbsp;") + "<br>" for line in lines] + ["</pre>"],
    "terminal colours": lambda lines: [f"\033[32m[  81.{i:06d}] \033[0m\033[31m{line}\033[0m" for i, line in enumerate(lines)],
    "JSON strings": lambda lines: ['{"log":"' + "\\n".join(dmesg(lines)) + '\\n"}'],
    "a remark in the middle": lambda lines: lines[:20] + ["", "Looks odd, but should be allowed?", ""] + lines[20:],
}
