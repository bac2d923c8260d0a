# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""hvpt exit, entry and caps: what they say, held against the tables that tests/reference took from the manuals."""

import csv
import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

hvpt, root = sys.argv[1], Path(sys.argv[2])
reference = root / "tests" / "reference"
number, failed = 0, 0


def ok(fine, name, detail=""):
    global number, failed
    number += 1
    failed += not fine
    print(("ok" if fine else "not ok"), number, "-", name)
    if not fine:
        print("\n".join("# " + line for line in str(detail).splitlines()[:40]))


def run(*words, text=None):
    done = subprocess.run([hvpt, *map(str, words)], capture_output=True, text=True, input=text, timeout=600)
    return done.returncode, done.stdout, done.stderr


def answer(*words, text=None):
    status, out, err = run(words[0], "--json", *words[1:], text=text)
    return json.loads(out) if out else {"error": err, "status": status}


def table(name):
    with open(reference / name) as file:
        return list(csv.DictReader(file))


# ---- exits: every number of the manuals' tables, by number and by name ----

bad = []
for row in (row for row in table("hvctl/vmx_exit_reasons.csv") if row["name"]):
    by_number, by_name = answer("exit", f"reason={row['number']}"), answer("exit", f"reason={row['name']}")
    if by_number != by_name or f"VM exit {row['number']}, " not in by_number["summary"] or "does not know" in by_number["summary"]:
        bad.append((row, by_number, by_name))
ok(not bad, "exit: VMX reasons of the manual", bad)
known = {int(row["number"]) for row in table("hvctl/vmx_exit_reasons.csv") if row["name"]}
ok(all(run("exit", f"reason={n}")[0] == 1 for n in set(range(100)) - known - {33, 34, 41, 49}), "exit: VMX reasons that the manual has not got are broken")
bad = []
for row in table("hvctl/svm_exit_codes.csv"):
    code = int(row["code"], 16) & (1 << 64) - 1
    got = answer("exit", f"code={code:#x}")
    if row["name"] not in got.get("summary", ""):
        bad.append((row, got))
ok(not bad, "exit: SVM codes of the manual", bad)
bad = [row for row in table("hvctl/vmx_instruction_errors.csv")
       if row["meaning"] not in answer("exit", f"instruction_error={row['number']}")["summary"]]
ok(not bad, "exit: VM-instruction errors of the manual", bad)
words = {"address size": "address size fault", "translation": "translation fault", "access flag": "access flag fault",
         "permission": "permission fault"}
bad = []
for row in table("hvpt/s2_fault_status.csv"):
    if row["kind"] not in words:
        continue
    esr = 0x24 << 26 | 1 << 25 | int(row["status"], 2)
    text = next(v["text"] for v in answer("exit", f"esr={esr:#x}")["values"] if v["name"] == "status")
    if words[row["kind"]] not in text or f"at level {row['level']} " not in text:
        bad.append((row, text))
ok(not bad, "exit: Arm's fault status codes", bad)
bits = {row["field"]: int(row["low"]) for row in table("hvpt/ept_violation_qualification.csv")}
got = answer("exit", "reason=48", f"qualification={1 << bits['DATA_WRITE'] | 1 << bits['EPT_READABLE']:#x}")["values"][0]["text"]
ok(got.startswith("data write; EPT allows read;"), "exit: an EPT violation by the bits of the manual", got)
# ISV, and so no copy instruction, whose FAR_EL2 may be anywhere in the granule. Arm ARM, "ISS encoding for an exception from a Data Abort".
got = answer("exit", "esr=0x93c18047", "far=0x1008", "hpfar=0x120")
ok("guest-physical 0x12008" in json.dumps(got), "exit: HPFAR_EL2 and FAR_EL2 make an address", got)
got = answer("exit", "esr=0x92000047", "far=0x1008", "hpfar=0x120")
ok("guest-physical page 0x12000" in json.dumps(got), "exit: an address that is only known to the page", got)
got = answer("exit", "esr=0x92000047", "far=0x1008")
ok("guest-physical 0x" not in json.dumps(got) and "was not given" in json.dumps(got), "exit: no address is made up on Arm", got)
got = answer("exit", "scause=23", "htval=0x1000", "stval=0x2001", "htinst=0x3020")
ok("guest-physical 0x4000" in json.dumps(got) and "walk of the guest's own tables" in json.dumps(got), "exit: a store guest-page fault", got)
got = answer("exit", "scause=21")
ok("0x0" not in json.dumps(got), "exit: no address is made up on RISC-V", got)
got = answer("exit", "reason=0", "intr=0x80000b0e", "qualification=0x1234", "errcode=2")
ok("#PF, error code 0x2" in json.dumps(got) and "linear address of the page fault" in json.dumps(got), "exit: a page fault", got)
trace = "  qemu-1 [001] d..2.  1.5: kvm_exit: vcpu 0 reason npf rip 0xfff0 info1 0x0000000100000014 info2 0x00000000fffff000 intr_info 0x00000000 error_code 0x00000000"
got = answer("exit", trace)
ok(got["kind"] == "svm-exit" and "fetch" in got["summary"] and "0xfffff000" in got["summary"], "exit: a line of KVM's trace", got)
ok(answer("exit", "reason=80000021")["summary"] == answer("exit", "reason=0x80000021")["summary"] and run("exit", "reason=80000021")[0] == 1,
   "exit: eight digits are hexadecimal, and a failed entry is broken")
for words_, message in ((["reason=48", "esr=1"], ":1:11: "), (["reason=1", "qualification=12x"], ":1:24: not a number"),
                        (["code=0x11111111111111111"], "more than 64 bits"), (["nothing=1"], ":1:1: no such name"), (["reason=1", "reason=2"], "given twice"),
                        (["reason=0x100000000"], "32 bits"), ([" "], "no exit")):
    status, out, err = run("exit", *words_)
    ok(status == 2 and not out and message in err, f"exit: {' '.join(words_)} is not readable", (status, out, err))

# ---- entries: EPT's misconfigurations as the reference lists them, for random entries and facts ----

FACTS = ("execute_only", "mbec", "paging_write", "1g", "2m")
LEVELS = ["PTE", "PDE", "PDPTE", "PML4E", "PML5E"]
rules = table("hvpt/ept_misconfigurations.csv")


def bit_range(text, maxphyaddr):
    low, high = (maxphyaddr if part == "M" else int(part) for part in text.split(":"))
    return sum(1 << bit for bit in range(low, high + 1))


def broken_rules(level, entry, facts):
    kind = LEVELS[level]
    if level in (1, 2):
        kind += (("_2M" if level == 1 else "_1G") if entry >> 7 & 1 else "_TABLE")
    if not entry & (7 | (1 << 10 if facts["mbec"] else 0)):
        return None  # not present
    out = set()
    for rule in rules:
        if kind not in rule["entries"].split():
            continue
        names = {"execute_only": "execute_only", "mode_based_execute": "mbec", "paging_write": "paging_write", "page_1g": "1g", "page_2m": "2m"}
        if not all((not facts[names[c[1:]]]) if c[0] == "!" else facts[names[c]] for c in rule["condition"].split()):
            continue
        if rule["clear"] and entry >> int(rule["clear"]) & 1:
            continue
        if rule["set"] and not entry & bit_range(rule["set"], facts["maxphyaddr"]):
            continue
        if rule["field"]:
            low, high = map(int, rule["field"].split(":"))
            if str(entry >> low & (1 << (high - low + 1)) - 1) not in rule["values"].split():
                continue
        out.add(rule["id"])
    return out


rng = random.Random(17)
bad, seen = [], set()
for _ in range(500):
    level = rng.randrange(5)
    entry = rng.choice((7, 5, 3, 1, 2, 4, 6, 0x407, 0x404, 0)) | rng.choice((0, 6 << 3, rng.randrange(16) << 3)) | rng.choice((0, 0x80))
    entry |= rng.choice((0, 1 << rng.randrange(12, 64), 1 << 58)) | rng.choice((0, 0x40000000))
    facts = {name: rng.randrange(2) for name in FACTS}
    facts["maxphyaddr"] = rng.randrange(32, 53)
    want = broken_rules(level, entry, facts)
    got = answer("entry", "ept", f"level={level}", f"entry={entry:#x}", *(f"{k}={v}" for k, v in facts.items()))
    verdict = got["verdicts"]
    kind = verdict[0]["verdict"]
    if len(verdict) != 1 or (want is None) != (kind == "absent") or bool(want) != (kind == "broken") \
            or (want and verdict[0]["text"].split("EPTM.")[1][:2] not in {rule[5:] for rule in want}):
        bad.append((level, hex(entry), facts, want, verdict))
    seen |= want or set()
ok(not bad, "entry: EPT with all facts given", bad)
ok(len(seen) >= 13, "entry: the random entries break all rules but one", sorted(seen))
bad = []
for _ in range(60):
    level = rng.randrange(5)
    entry = rng.choice((7, 5, 4, 6, 0x404)) | rng.choice((0, 6 << 3)) | rng.choice((0, 0x80)) | rng.choice((0, 1 << rng.randrange(30, 52)))
    given = {name: rng.randrange(2) for name in FACTS if rng.randrange(2)}
    free = [name for name in FACTS if name not in given]
    kinds = set()
    for values in itertools.product((0, 1), repeat=len(free)):
        for width in range(32, 53):
            want = broken_rules(level, entry, {**given, **dict(zip(free, values)), "maxphyaddr": width})
            kinds.add("absent" if want is None else "broken" if want else "sound")
    status, out, _ = run("entry", "--json", "ept", f"level={level}", f"entry={entry:#x}", *(f"{k}={v}" for k, v in given.items()))
    got = {"sound" if v["verdict"] in ("leaf", "table") else v["verdict"] for v in json.loads(out)["verdicts"]}
    if got != kinds or (status == 1) != (kinds == {"broken"}):
        bad.append((level, hex(entry), given, kinds, got, status))
ok(not bad, "entry: EPT with facts that nobody gave: certain only where it holds for all", bad)

got = [(v["verdict"], v["only"]) for v in answer("entry", "ept", "pdpte", "0x40000000b7", "mbec=0", "paging_write=0")["verdicts"]]
want = [("broken", "with MAXPHYADDR up to 38"), ("broken", "with MAXPHYADDR of 39 and more and without 1-GByte pages"),
        ("leaf", "with MAXPHYADDR of 39 and more and with 1-GByte pages")]
ok(got == want, "entry: what a verdict hangs on, in words", got)
_, out, _ = run("entry", "ept", "pte", "4", "mbec=0", "paging_write=0")
ok("  without execute-only pages: broken: " in out and "  with execute-only pages: a page of" in out, "entry: and in the text", out)
for words_, kind, piece in (
        ("npt pde 0x40000087 nxe=1 gmet=0", "leaf", "2 MiB at 0x40000000; allows read, write, execute"),
        ("npt pde 0x40001087 nxe=1 gmet=0", "leaf", "2 MiB"),       # bit 12 is PAT
        ("npt pde 0x40002087 nxe=1 gmet=0", "broken", "not aligned"),
        ("npt pml4e 0x40000087 nxe=1 gmet=0", "broken", "no pages of this size"),
        ("npt pte 0x8000000040000007 nxe=0 gmet=0", "broken", "bit 63"),
        ("stage2 l3 0x400007fd lpa2=0 xnx=0", "broken", "block at the level of pages"),
        ("stage2 l2 0x40000ffd lpa2=0 xnx=0", "leaf", "2 MiB at 0x40000000"),
        ("stage2 l2 0x2000ffd granule=16 lpa2=0 xnx=0", "leaf", "32 MiB at 0x2000000"),
        ("stage2 l3 0x400007fe lpa2=0 xnx=0", "absent", ""),
        ("gstage level=0 0x100000df svpbmt=0 svnapot=0 svadu=0", "leaf", "4 KiB at 0x40000000"),
        ("gstage level=1 0x100004df svpbmt=0 svnapot=0 svadu=0", "broken", "not aligned"),
        ("gstage level=0 0x20000000100000df svpbmt=0 svnapot=0 svadu=0", "broken", "Svpbmt"),
        ("gstage level=0 0x100000d5 svpbmt=0 svnapot=0 svadu=0", "broken", "writable but not readable"),
        ("x86 pte 0x1067 nxe=1 1g=1 amd=0", "leaf", "4 KiB at 0x1000; allows read, write, execute"),
        ("x86 pde 0x2001e3 nxe=1 1g=1 amd=0", "leaf", "2 MiB at 0x200000"),
        ("x86 pde 0x2021e3 nxe=1 1g=1 amd=0", "broken", "13"),
        ("x86 pml4e 0x2000e3 nxe=1 1g=1 amd=0", "broken", "7")):
    got = answer("entry", *words_.split(), "maxphyaddr=48")
    verdicts = got.get("verdicts", [])
    ok(len(verdicts) == 1 and verdicts[0]["verdict"] == kind and piece in verdicts[0]["text"], f"entry: {words_}", got)
for words_, message in (("ept 7", "level is missing"), ("ept pte", "entry is missing"), ("pte 7", ":1:1: the format comes first"),
                        ("ept pte 7 8", ":1:11: a second entry"), ("ept pte 7 nxe=1", ":1:11: no entry of this format"), ("ept pte 7 maxphyaddr=20", "32 and 52")):
    status, out, err = run("entry", *words_.split())
    ok(status == 2 and not out and message in err, f"entry: {words_} is not readable", (status, out, err))

# ---- capabilities: every named bit, alone ----

msrs = {row["name"]: row["msr"] for row in table("hvctl/vmx_msrs.csv")}
groups = {"pin": ("IA32_VMX_PINBASED_CTLS", 32), "primary": ("IA32_VMX_PROCBASED_CTLS", 32), "secondary": ("IA32_VMX_PROCBASED_CTLS2", 32),
          "exit": ("IA32_VMX_EXIT_CTLS", 32), "entry": ("IA32_VMX_ENTRY_CTLS", 32), "tertiary": ("IA32_VMX_PROCBASED_CTLS3", 0),
          "exit2": ("IA32_VMX_EXIT_CTLS2", 0), "vmfunc": ("IA32_VMX_VMFUNC", 0)}
bad = []
for row in table("hvctl/vmx_controls.csv"):
    if row["group"] not in groups:
        continue
    name, shift = groups[row["group"]]
    got = answer("caps", f"{msrs[name]}={1 << (int(row['bit']) + shift):#x}")
    text = got["values"][0]["text"]
    if f"may be 1: {row['name']}" not in text:
        bad.append((row, text))
ok(not bad, "caps: every control of the manual by its bit", bad)
got = answer("caps", "0x481=0x1600000017")
ok(got["broken"] and "BROKEN" in got["values"][0]["text"], "caps: a bit that must be 1 and may not", got)
models = {}
for row in table("hvctl/vmx_models.csv"):
    models.setdefault(row["model"], []).append((row["msr"], row["value"]))
bad = []
for model, values in models.items():
    lines = "\n".join(f"{msr} = {value}" for msr, value in values)
    got = answer("caps", "-", text=lines)
    if got.get("broken") is not False or len(got["values"]) != len(values) \
            or [v["value"] for v in got["values"]] != [hex(int(value, 16)) for _, value in sorted(values, key=lambda v: int(v[0], 16))]:
        bad.append((model, got))
ok(not bad, "caps: whole CPUs are sound, and no value is lost", bad)
ept = models[next(iter(models))]
value = dict((m.lower(), v) for m, v in ept)["0x48c"]
forms = [f"0x48c {value}", f"0x48C: {value}", f"IA32_VMX_EPT_VPID_CAP = {value}", f"00:00:01.123 HM: MSR_IA32_VMX_EPT_VPID_CAP = {value}",
         f"# rdmsr\n48c={value[2:]}"]
ok(len({json.dumps(answer("caps", "-", text=form)["values"]) for form in forms}) == 1, "caps: one value in five ways to write it")
bad = []
for row in table("hvctl/svm_features.csv"):
    edx, ecx = (1 << int(row["bit"]), 0) if row["register"] == "EDX" else (0, 1 << int(row["bit"]))
    lines = ("CPU 0:\n   0x00000000 0x00: eax=0x00000001 ebx=0x68747541 ecx=0x444d4163 edx=0x69746e65\n"
             "   0x80000000 0x00: eax=0x80000020 ebx=0x0 ecx=0x0 edx=0x0\n   0x80000001 0x00: eax=0x0 ebx=0x0 ecx=0x00000004 edx=0x0\n"
             f"   0x8000000a 0x00: eax=0x1 ebx=0x8000 ecx={ecx:#x} edx={edx:#x}\n")
    text = next(v["text"] for v in answer("caps", "-", text=lines)["values"] if "AH" in v["name"])
    if not text.endswith("; " + row["name"]) or "32768 ASIDs" not in text:
        bad.append((row, text))
ok(not bad, "caps: every SVM feature of the manual by its bit", bad)
for text, message in (("0x480 = zz\n", ":1:9: the MSR's value"), ("\n\nhello\n", ":3:1: no capability"), ("1 0: eax=1 ebx=2 edx=3\n", ":1:18: eax, ebx")):
    status, out, err = run("caps", "-", text=text)
    ok(status == 2 and not out and message in err, f"caps: {text.strip()} is not readable", (status, out, err))

# ---- the frame ----

for command in ("exit", "entry", "caps", "walk", "map"):
    status, out, _ = run(command, "--help")
    ok(status == 0 and out.startswith(f"usage: hvpt {command}"), f"{command}: --help")
    ok(run(command)[0] == 2 and run(command, "--no-such")[0] == 2, f"{command}: nothing, and a wrong option, are status 2")

print(f"1..{number}")
sys.exit(1 if failed else 0)
