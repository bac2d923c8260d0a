#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""hvpt vmcs against made-up dumps: in every form, with one field wrong, through whatever logs do to text, and cut anywhere.

usage: vmcs.py HVPT FOLDER
What a changed field breaks is the manual's: SDM vol. 3, chapter "VM Entries", by the names of tests/reference/hvctl_check.
"""
import csv
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "compile"))
import dumps  # noqa: E402
import tap  # noqa: E402

HVPT = sys.argv[1]

# A field of guest(), its wrong value, the rule it breaks, and other fields that go with it.
WRONG = [
    ({"tr": (0x40, 0x89, 0x206f, 0xfffffe0000003000)}, "GUEST.TR.TYPE_64"),
    ({"cr0": 0x80050013}, "GUEST.CR0.FIXED"),
    ({"cs": (0x10, 0xe09b, 0xffffffff, 0)}, "GUEST.CS.DB"),
    ({"ss": (0x18, 0x4093, 0xffffffff, 0)}, "GUEST.SS.G"),
    ({"rflags": 0x244}, "GUEST.RFLAGS.RESERVED"),
    ({"blocking": 3}, "GUEST.INTERRUPTIBILITY.STI_MOVSS"),
    ({"blocking": 1, "rflags": 0x46}, "GUEST.INTERRUPTIBILITY.STI_IF"),
    ({"blocking": 2, "entry_info": 0x80000051}, "GUEST.INTERRUPTIBILITY.EXTINT"),
    ({"activity": 1, "ss": (0x1b, 0xc0f3, 0xffffffff, 0), "cs": (0x13, 0xa0fb, 0xffffffff, 0)}, "GUEST.ACTIVITY.HLT_DPL"),
    ({"efer": 0xc01}, "GUEST.EFER.LME"),
    ({"pat": 0x407050600070206}, "GUEST.PAT"),
    ({"gdtr": (0x7f, 0x1000000000000000)}, "GUEST.GDTR.BASE"),
    ({"ldtr": (0, 0x83, 0xffff, 0)}, "GUEST.LDTR.TYPE"),
    ({"debugctl": 0x10000}, "GUEST.DEBUGCTL"),
]
# The same that end before the guest is looked at: the VM-instruction error.
FAIL = [
    ({"host_selectors": (0x10, 0x18, 0, 0, 0, 0, 0)}, "HOST.TR.NULL", 8),
    ({"host_selectors": (0x13, 0x18, 0, 0, 0, 0, 0x40)}, "HOST.CS.RPL_TI", 8),
    ({"host_gs": 0x8000000000000000}, "HOST.GS.BASE", 8),
    ({"vpid": 0}, "CTRL.VPID", 7),
    ({"entry_info": 0x80000203, "rflags": 0x246}, "CTRL.INJECT.NMI_VECTOR", 7),
]
VMCB_WRONG = [
    ({"cr4": 0x6d0}, "SVM.EFER.LME_PAE"),
    ({"efer": 0xd01}, "SVM.EFER.SVME"),
    ({"asid": 0}, "SVM.CTRL.ASID"),
    ({"i4": 0x624e}, "SVM.CTRL.VMRUN"),
    ({"cr0": 0xa0050033}, "SVM.CR0.CD_NW"),
    ({"inject": 0x80000502}, "SVM.INJ.TYPE"),
    ({"cs": (0x10, 0x69b, 0xffffffff, 0)}, "SVM.EFER.LME_CS"),
    ({"dr7": 1 << 40}, "SVM.DR7.HIGH"),
]


def ask(text, *options):
    result = subprocess.run([HVPT, "vmcs", "--json", *options, "-"], input=text.encode(), capture_output=True, check=False)
    try:
        return result.returncode, json.loads(result.stdout) if result.stdout else None
    except ValueError as error:
        return result.returncode, str(error)


def broken(dump):
    return [violation["rule"] for violation in dump["broken"]]


def expect(text, rules, why, status=None):
    """One dump in text, and exactly these rules broken; why: the first of them explains the failure."""
    code, answer = ask(text)
    if not isinstance(answer, dict) or len(answer["dumps"]) != 1:
        return f"not one dump: status {code}, {answer}"
    dump = answer["dumps"][0]
    if broken(dump) != rules:
        return f"broken: {broken(dump)}, not {rules}"
    if why and dump["broken"][0]["fits"] != "why":
        return f"{rules[0]} is not said to be why: {dump['broken'][0]['fits']}"
    if code != (status if status is not None else 1 if rules else 0):
        return f"status {code}"
    for violation in dump["broken"]:
        place = violation["place"]
        if place and text.encode()[place["at"]:place["at"] + place["length"]] == b"":
            return "the place of a value is not in the text"
    return None


def form(name, lines):
    return "some line before\n" + "\n".join(lines) + "\nsome line behind, reason=00000007 CR3 = 0xffffffffffffffff\n"


VMX_FORMS = {"KVM to 5.10": dumps.kvm_old, "KVM since 5.18": dumps.kvm_new, "Xen": dumps.xen}


def cases():
    for name, make in VMX_FORMS.items():
        yield f"{name}: nothing wrong, nothing broken", lambda make=make: expect(form("", make(dumps.guest())), [], False)
        for change, rule in WRONG:
            yield (f"{name}: {rule}",
                   lambda make=make, change=change, rule=rule: expect(form("", make(dumps.guest(**change))), [rule], True))
    for change, rule, error in FAIL:
        for word in ("VMLAUNCH", "VMRESUME"):
            def fail(change=change, rule=rule, error=error, word=word):
                lines = dumps.xen(dumps.guest(reason=0x1c, qualification=0x300, **change), f"d5v1 {word} error: {error:#x}")
                problem = expect(form("", lines), [rule], True)
                if problem is None and "control-register" in ask(form("", lines))[1]["dumps"][0]["happened"]:
                    return "the exit before is told as what happened"
                return problem
            yield f"Xen, {word} error {error}: {rule}", fail
    for wide in (False, True):
        for change, rule in VMCB_WRONG:
            yield (f"KVM's VMCB{', one number of intercepts' if wide else ''}: {rule}",
                   lambda change=change, rule=rule, wide=wide: expect(form("", dumps.kvm_vmcb(dumps.vmcb(**change), wide)), [rule], True))
    for change, rule in VMCB_WRONG:
        yield (f"Xen's VMCB: {rule}",
               lambda change=change, rule=rule: expect(form("", dumps.xen_vmcb(dumps.vmcb(**change))), [rule], True))
    yield "a VMCB of a normal exit", lambda: expect(form("", dumps.kvm_vmcb(dumps.vmcb(code=0x400))), [], False)
    for name, wrapping in dumps.WRAPPINGS.items():
        for kind, make in (("KVM", dumps.kvm_new), ("Xen", dumps.xen)):
            change, rule = WRONG[3]
            yield (f"{kind}, {name}",
                   lambda make=make, wrapping=wrapping: expect("\n".join(wrapping(make(dumps.guest(**change)))), [rule], True))
            yield f"{kind}, {name}: all values", lambda make=make, wrapping=wrapping: same_values(make, wrapping)
        yield (f"a VMCB, {name}",
               lambda wrapping=wrapping: expect("\n".join(wrapping(dumps.kvm_vmcb(dumps.vmcb(asid=0)))), ["SVM.CTRL.ASID"], True))
    for kind, make in VMX_FORMS.items():
        yield f"{kind}: cut anywhere, nothing uncertain is called broken", lambda make=make: cuts(make)
    yield "a VMCB cut anywhere", cuts_vmcb
    yield "two dumps are told apart", two
    yield "no dump: status 2", none
    yield "a log in which KVM says how to switch dumps on", switched_off
    yield "a field twice as wide as it can be is no value", too_wide
    yield "a hashed pointer is no value", hashed
    yield "an EFER that is not the field", efer
    yield "MSR-load entry 1 of Xen is the second", msr
    yield "a normal exit 7 is no VM-instruction error", interrupt_window
    yield "capabilities decide: a CPU without SMEP", capabilities
    yield "more than eight rules broken: the values look shifted", shifted
    for number, code, rules in ((1, "0x80000021", ["GUEST.SS.TYPE"]), (2, "0x7", None), (3, "0x0", None)):
        yield f"QEMU's registers, {code}", lambda code=code, rules=rules: qemu(code, rules)
    yield "bhyve's decimal 33", bhyve
    yield "XMHF", xmhf
    yield "hvctl's own dump", own
    for style in STYLES:
        for number, column in enumerate(columns()):
            yield f"fields by name, {style}, column {number}", lambda style=style, column=column: by_name(style, column)
    yield "VirtualBox: the cause that it found itself", vbox
    yield "names that could be either of two fields say nothing", ambiguous
    yield "numbers that may be decimal are no values", decimal
    yield "prose that names two fields is no dump", prose


def same_values(make, wrapping):
    """Through a wrapping every value is found that is found without."""
    plain = ask("\n".join(make(dumps.guest())))[1]["dumps"][0]["fields"]
    code, answer = ask("\n".join(wrapping(make(dumps.guest()))))
    if not isinstance(answer, dict) or len(answer["dumps"]) != 1:
        return f"not one dump: status {code}"
    found = answer["dumps"][0]["fields"]
    different = {name for name in set(plain) | set(found) if plain.get(name) != found.get(name)}
    return f"differ: {sorted(different)}" if different else None


def cuts(make):
    change, rule = WRONG[3]
    for values, allowed in ((dumps.guest(), set()), (dumps.guest(**change), {rule})):
        text = "\n".join(dumps.dmesg(make(values)))
        for at in range(0, len(text), 97):
            for piece in (text[:at], text[at:]):
                code, answer = ask(piece)
                for dump in answer["dumps"] if isinstance(answer, dict) else []:
                    if set(broken(dump)) - allowed:
                        return f"cut at {at}: {broken(dump)}"
    return None


def cuts_vmcb():
    text = "\n".join(dumps.dmesg(dumps.kvm_vmcb(dumps.vmcb(asid=0)), "kvm_amd: "))
    for at in range(0, len(text), 53):
        for piece in (text[:at], text[at:]):
            answer = ask(piece)[1]
            for dump in answer["dumps"] if isinstance(answer, dict) else []:
                if set(broken(dump)) - {"SVM.CTRL.ASID"}:
                    return f"cut at {at}: {broken(dump)}"
    return None


def two():
    first, second = dumps.guest(blocking=3), dumps.guest(rflags=0x244)
    text = "\n".join(dumps.dmesg(dumps.kvm_new(first)) + ["between"] + dumps.dmesg(dumps.kvm_new(second)) + dumps.kvm_vmcb(dumps.vmcb(asid=0)))
    rules = [broken(dump) for dump in ask(text)[1]["dumps"]]
    if rules != [["GUEST.INTERRUPTIBILITY.STI_MOVSS"], ["GUEST.RFLAGS.RESERVED"], ["SVM.CTRL.ASID"]]:
        return str(rules)
    only = ask(text, "--only", "2")[1]["dumps"]
    return None if len(only) == 1 and only[0]["number"] == 2 else f"--only 2: {only}"


def none():
    for text in ("", "nothing here\n", "*** Guest State ***\n", "\0\0\xff" * 100):
        code, _ = ask(text)
        if code != 2:
            return f"{text[:20]!r}: status {code}"
    result = subprocess.run([HVPT, "vmcs", "/nonexistent/file"], capture_output=True, text=True, check=False)
    return None if result.returncode == 2 and "/nonexistent/file" in result.stderr else f"{result}"


def switched_off():
    result = subprocess.run([HVPT, "vmcs", "-"], input="set kvm_intel.dump_invalid_vmcs=1 to dump internal KVM state.\n",
                            capture_output=True, text=True, check=False)
    return None if result.returncode == 2 and "dump_invalid_vmcs=1" in result.stderr else f"{result}"


def too_wide():
    lines = dumps.kvm_new(dumps.guest())
    text = "\n".join(lines).replace("Interruptibility = 00000000", "Interruptibility = 100000000")
    fields = ask(text)[1]["dumps"][0]["fields"]
    return "GUEST_INTERRUPTIBILITY_STATE was read" if "GUEST_INTERRUPTIBILITY_STATE" in fields else None


def hashed():
    text = "\n".join(dumps.kvm_new(dumps.guest())).replace("CR3=0", "__va::CR3=0").replace("0x0000000001c0a000", "(____ptrval____)")
    fields = ask(text)[1]["dumps"][0]["fields"]
    return f"{fields.get('HOST_CR3')}, {fields.get('GUEST_CR3')}" if "HOST_CR3" in fields or "GUEST_CR3" in fields else None


def efer():
    for note in ("(effective)", "(autoload)"):
        text = "\n".join(dumps.kvm_new(dumps.guest())).replace("EFER= 0x0000000000000d01", f"EFER= 0x0000000000000d01 {note}", 1)
        fields = ask(text)[1]["dumps"][0]["fields"]
        if "GUEST_IA32_EFER" in fields or "HOST_IA32_EFER" not in fields:
            return f"{note}: {fields}"
    return None


def msr():
    before = "d9v0 vmentry failure (reason 0x80000022): MSR loading (entry 1)\n  msr c0000080 val 0000000000000500 (mbz 0)"
    lines = dumps.xen(dumps.guest(entry=0x51ff, cs=(0x10, 0xc09b, 0xffffffff, 0), rip=0x500139, reason=0x80000022, qualification=2), before)
    dump = ask("\n".join(lines))[1]["dumps"][0]
    if broken(dump) != ["MSR.EFER_LME"] or dump["broken"][0]["fits"] != "why" or "entry 2" not in dump["broken"][0]["text"]:
        return f"{dump['broken']}"
    return None


def interrupt_window():
    text = "\n".join(dumps.kvm_new(dumps.guest(reason=7)))
    dump = ask(text)[1]["dumps"][0]
    return None if "interrupt window" in dump["happened"] and not dump["broken"] else dump["happened"]


CAPS = """0x480 = 0xda040000000010
0x481 = 0x7f00000016
0x482 = 0xfff9fffe0401e172
0x483 = 0x7fffff00036dff
0x484 = 0xffff000011ff
0x485 = 0x100401e5
0x486 = 0x80000021
0x487 = 0xffffffff
0x488 = 0x2000
0x489 = 0x667ff
0x48a = 0x2a
0x48b = 0x4ff00000000
0x48c = 0xf0106134141
"""


def capabilities():
    path = Path(sys.argv[2]) / "hvpt-vmcs-caps.txt"
    path.write_text(CAPS, encoding="utf-8")
    dump = ask("\n".join(dumps.kvm_new(dumps.guest())), "--caps", str(path))[1]["dumps"][0]
    if not {"HOST.CR4.FIXED", "CTRL.SECONDARY.RESERVED"} <= set(broken(dump)):
        return f"{broken(dump)}"
    dump = ask("\n".join(dumps.kvm_new(dumps.guest())), "--cpu", "sandy")[1]["dumps"][0]
    return None if "HOST.CR4.FIXED" in broken(dump) else f"--cpu sandy: {broken(dump)}"


def shifted():
    bad = (0xffff, 0xffff, 0x1fff0000, 0x8000000000000001)
    change = {name: bad for name in ("cs", "ss", "ds", "es", "tr", "ldtr")}
    dump = ask("\n".join(dumps.kvm_new(dumps.guest(rflags=0xffffffff, pending=~0 & (1 << 64) - 1, **change))))[1]["dumps"][0]
    return None if any("shifted" in hint for hint in dump["hints"]) else f"{dump['hints']}"


def qemu(code, rules):
    text = f"""KVM: entry failed, hardware error {code}
RAX=0000000000000000 RBX=0000000000000000 RCX=0000000000000000 RDX=0000000000000000
RIP=ffffffff81000000 RFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0
ES =0000 0000000000000000 ffffffff 00c00000
CS =0010 0000000000000000 ffffffff 00a09b00 DPL=0 CS64 [-RA]
SS =0018 0000000000000000 ffffffff 00c0{'9b' if rules else '93'}00 DPL=0 DS   [-WA]
DS =0018 0000000000000000 ffffffff 00c09300 DPL=0 DS   [-WA]
TR =0040 0000000000001000 0000206f 00008b00 DPL=0 TSS64-busy
GDT=     fffffe0000001000 0000007f
IDT=     fffffe0000000000 00000fff
CR0=80050033 CR2=0000000000000000 CR3=0000000001c0a000 CR4=000006f0
"""
    dump = ask(text)[1]["dumps"][0]
    if broken(dump) != (rules or []):
        return f"{broken(dump)}"
    if code == "0x7" and "VM-instruction error 7" not in dump["happened"]:
        return dump["happened"]
    if code == "0x0" and "normal exit" not in dump["happened"]:
        return dump["happened"]
    return None


def bhyve():
    text = "vm exit[0]\n\treason\t\tVMX\n\trip\t\t0x000000000000fff0\n\tinst_length\t3\n\tstatus\t\t0\n\texit_reason\t33\n\tqualification\t0x0000000000000000\n\tinst_type\t\t0\n\tinst_error\t\t0\n"
    dump = ask(text)[1]["dumps"][0]
    return None if "invalid guest state" in dump["happened"] else dump["happened"]


def xmhf():
    text = "VM-ENTRY error: reason=0x80000021, qualification=0x0000000000000000\nGuest State follows:\nguest_CS_selector=0x0008\n" \
           "guest_CS_access_rights=0x0000009b\nguest_CS_base/limit=0x0009b000/0xffff\nguest_CR0=0x00000011, guest_CR4=0x001526d0, guest_CR3=0x01c84000\n" \
           "guest_RFLAGS=0x00200006\n"
    return expect(text, ["GUEST.CR0.FIXED"], True)


def own():
    text = "# guest state\nGUEST_RFLAGS = 0x2 # comment\nGUEST_INTERRUPTIBILITY_STATE = 0x9\n# VM-exit information\nEXIT_REASON = 0x80000021\n"
    return expect(text, ["GUEST.INTERRUPTIBILITY.STI_IF"], True)


def in_words(name):
    """kGuestEsArBytes and GUEST_ES_AR_BYTES as words with blanks between."""
    return re.sub("([a-z])([A-Z])", r"\1 \2", name).replace("_", " ")


# How programs print a field: by name and value, and what may stand around them.
STYLES = {
    "NAME = 0x": lambda name, value, encoding: f"{name} = {value:#x}",
    "NAME: 0x, in a kernel's log": lambda name, value, encoding: f"[ 9021.315014] mod: {name}: {value:#x}",
    "columns": lambda name, value, encoding: f"        {name:58} {value:#018x}",
    "ENCODING NAME: hex": lambda name, value, encoding: f"2019-01-11 13:29:19 host kernel: mod_warn: {encoding:x} {name}: {value:x}",
    "JSON": lambda name, value, encoding: f'  "{name}": "{value:#x}",',
    "NAME (encoding) -> value": lambda name, value, encoding: f"# {name} ({encoding:#06x}) -> {value:#x}",
    "vmread(NAME)": lambda name, value, encoding: f"vmread({name}) = {value:#x}",
    "words": lambda name, value, encoding: f"{in_words(name)} : {value:#x}",
}


def reference(name):
    folder = Path(__file__).resolve().parent.parent / "reference" / "hvctl"
    with open(folder / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fields():
    """encoding -> (name, bits)"""
    return {int(row["encoding"], 16): (row["name"], 64 if row["width"] == "natural" else int(row["width"]))
            for row in reference("vmcs_fields.csv")}


def columns():
    """The first name of every field, then the second of those that have two, and so on: [(name, encoding)]"""
    by_encoding, out = {}, []
    for row in reference("vmcs_names.csv"):
        if row["encoding"] != "none":
            by_encoding.setdefault(int(row["encoding"], 16), []).append(row["name"])
    for number in range(max(len(names) for names in by_encoding.values())):
        column = [(names[number], encoding) for encoding, names in sorted(by_encoding.items()) if number < len(names)]
        # An upper half is one only beside its lower half
        low = {encoding for _, encoding in column}
        out.append([(name, encoding) for name, encoding in column if encoding & 1 == 0 or encoding - 1 in low])
    return out


def by_name(style, column):
    known, lines, expected = fields(), [], {}
    halves = {encoding - 1 for _, encoding in column if encoding & 1}
    for name, encoding in column:
        field, bits = known[encoding & ~1]
        value = (0x0123456789abcdef ^ encoding) & ((1 << bits) - 1)
        if encoding & 1:
            value = encoding + 0x10000
            expected[field] |= value << 32
        else:
            if encoding in halves:
                value &= 0xffffffff
            expected[field] = value
        lines.append(STYLES[style](name, value, encoding))
    code, answer = ask("\n".join(lines) + "\n")
    if len(column) < 4:
        return None
    if not isinstance(answer, dict) or len(answer["dumps"]) != 1:
        return f"not one dump: status {code}, {str(answer)[:200]}"
    got = {name: int(value, 16) for name, value in answer["dumps"][0]["fields"].items()}
    wrong = [f"{name} {got.get(name, 'none')} not {value:#x}" for name, value in expected.items() if got.get(name) != value]
    wrong += [f"{name}: not in the text" for name in got if name not in expected]
    return "; ".join(wrong[:5]) or None


def vbox():
    text = "00:00:05.481475 cs={f000 base=00000000000f0000 limit=0000ffff flags=0000009b}\n" \
           "00:00:05.481475 gs={0000 base=0000000000000000 limit=ffffffff flags=0000c0f3} cr0=00000010 cr2=00000000\n" \
           + "00:00:05.482 something else\n" * 60 + "00:00:05.485406 CPU[0]: VT-x info:\n" \
           "00:00:05.485406   HM error           = 0x23a (570)\n00:00:05.485407   rcLastExitToR3     = VERR_VMX_INVALID_GUEST_STATE\n"
    answer = ask(text)[1]["dumps"]
    if len(answer) != 1:
        return f"{len(answer)} dumps"
    if "invalid guest state" not in answer[0]["happened"]:
        return answer[0]["happened"]
    return None if "virtual-8086: GS limit is not ffffH" in answer[0]["hints"] else f"{answer[0]['hints']}"


ANCHOR = "GUEST_CR3 = 0x1000\nGUEST_CR0 = 0x80000031\nGUEST_RIP = 0xfff0\n"


def ambiguous():
    for row in reference("vmcs_names.csv"):
        if row["encoding"] == "none":
            got = ask(ANCHOR + f"{row['name']} = 0x10\n")[1]["dumps"][0]["fields"]
            if len(got) != 3:
                return f"{row['name']}: {got}"
    return None


def decimal():
    dump = ask("Guest CR3: 0x1000\nGuest CR0: 0x31\nGuest RIP: 0xfff0\nGuest ES selector: 16\n")[1]["dumps"][0]
    return f"{dump['fields']}" if len(dump["fields"]) != 3 else None


def prose():
    code, answer = ask("I set the guest CR3 to 0x1000, and guest CR4 = 0x2000 is what I read.\nWhat is wrong?\n")
    return None if code == 2 and not answer["dumps"] else f"status {code}: {answer}"


sys.exit(tap.run(list(cases())))
