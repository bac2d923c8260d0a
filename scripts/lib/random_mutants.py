# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""Faults made by chance in include/hvpt: operators, constants, conditions, statements left out or in the wrong order.

For scripts/mutants --random N. A fault that changes no machine code is equivalent and not counted; of the others the
cheapest programs that reach its line are run until one fails. A fault that none notices survives, and is printed.
Results are kept as they come (mutants-random.jsonl in the build directory), so that a run can be ended and gone on with.
"""
import glob
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import time

OPERATORS = [("==", "!="), ("!=", "=="), ("<=", "<"), (">=", ">"), (" < ", " <= "), (" > ", " >= "), ("&&", "||"), ("||", "&&"),
             (" & ", " | "), (" | ", " & "), (" + ", " - "), (" - ", " + "), ("<<", ">>"), (">>", "<<"), ("|=", "&="),
             ("&=", "|="), ("++", "--"), ("--", "++"), (" ^ ", " | "), ("& ~", "& ")]
STATEMENT = re.compile(r"^\s+(?!return\b|break;|continue;|goto\b|const\b|static\b|struct\b|enum\b|u?int\d*_t\b|unsigned\b|bool\b"
                       r"|hvpt_entry\b|size_t\b|char\b|case\b|default\b|else\b|\}|\{|\*|/)[\w*(][^;{}]*;\s*$")
# hvpt's unit programs, and what runs before them where the engine alone is broken.
SUITES = ["handle", "adopt", "gstage", "frames", "stage2", "hostile", "npt", "ept", "damage", "explain", "operations"]
DEAR = ["generic", "nomem", "intermediate", "model"]  # these reach nearly all: not measured, run last
ENUMERATED = [("engine.c", [operation, "KIND=%d" % kind, "INDEX_BITS=1", "ROOT=2", "LEAVES=3"])
              for operation in ("MAP", "UNMAP", "PROTECT", "REPLACE", "SPLIT", "COLLAPSE", "FAULT_MAP") for kind in (3, 0, 4)]
ENUMERATED += [("interleave.c", []), ("interleave.c", ["MAP"])]


def code_of(text):
    """The text with comments and strings blanked out, so that places stay where they are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"", blank, text, flags=re.S)


def faults_in(text):
    """Every fault of the file: (line, what, new text)."""
    code = code_of(text)
    lines = code.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    inside = False
    for number, line in enumerate(lines):
        at, directive = starts[number], line.lstrip().startswith("#")
        if line.startswith("{"):
            inside = True
        elif line.startswith("}"):
            inside = False
        if directive and not re.match(r"\s*#\s*define\s+\w+\s+\S*\d", line):
            continue
        if not directive and not inside:
            continue
        for old, new in OPERATORS:
            for found in re.finditer(re.escape(old), line):
                if old.strip() in ("<<", ">>", "&", "|", "<", ">", "+", "-") and re.search(r"[<>=&|+-]", line[found.end():found.end() + 1] if not old.endswith(" ") else ""):
                    continue
                yield number + 1, "%s becomes %s" % (old.strip(), new.strip()), text[:at + found.start()] + new + text[at + found.end():]
        for found in re.finditer(r"(?<![\w.])(\d+)([uU]?[lL]*)(?![\w.])", line):
            value = int(found.group(1))
            yield number + 1, "%d becomes %d" % (value, value + 1), text[:at + found.start()] + str(value + 1) + found.group(2) + text[at + found.end():]
        found = re.match(r"\s*(?:\} else )?(?:if|while) \((.*)\)( \{)?$", line)
        if found:
            begin, end = at + found.start(1), at + found.end(1)
            for word in ("!", "0 && "):
                yield number + 1, "condition %s" % ("reversed" if word == "!" else "never holds"), text[:begin] + word + "(" + text[begin:end] + ")" + text[end:]
        if inside and STATEMENT.match(line):
            yield number + 1, "left out: " + line.strip(), text[:at] + re.match(r"\s*", line).group() + ";" + text[at + len(line):]
            if number + 1 < len(lines) and STATEMENT.match(lines[number + 1]):
                after = starts[number + 1]
                swapped = text[after:after + len(lines[number + 1])] + "\n" + text[at:at + len(line)]
                yield number + 1, "wrong order: " + line.strip(), text[:at] + swapped + text[after + len(lines[number + 1]):]


class Bench:
    """Programs over a folder of headers, built once where a fault does not reach them."""

    def __init__(self, root, build):
        self.root, self.work = root, os.path.join(build, "mutants")
        self.tests = os.path.join(root, "tests", "unit", "hvpt")
        os.makedirs(self.work, exist_ok=True)
        self.flags = ["-std=c11", "-w", "-DHVPT_TEST_DATA=\"%s/tests/reference\"" % root]
        self.support = sorted(glob.glob(os.path.join(self.tests, "support", "*.c")))
        self.support = [path for path in self.support if not path.endswith("end_abort.c")]

    def compile(self, include, source, target, extra=()):
        command = ["gcc"] + self.flags + list(extra) + ["-I", include, "-c", source, "-o", target]
        return subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0

    def objects(self, include, folder, extra=("-O1",)):
        """The support library over these headers; None: they do not compile."""
        made = []
        for source in self.support:
            made.append(os.path.join(folder, os.path.basename(source) + ".o"))
            if not self.compile(include, source, made[-1], extra):
                return None
        return made

    def suite(self, name, include, folder, objects, extra=("-O1",)):
        """A unit program over these headers, or None."""
        own, program = os.path.join(folder, name + ".o"), os.path.join(folder, name)
        if not self.compile(include, os.path.join(self.tests, name + ".c"), own, extra):
            return None
        link = ["gcc"] + list(extra) + [own] + objects + ["-o", program, "-lcriterion"]
        return program if subprocess.run(link, capture_output=True, check=False).returncode == 0 else None

    def machine_code(self, include, folder):
        """All that the headers of hvpt compile to, as a number; None: they do not."""
        names = [os.path.relpath(path, include) for path in sorted(glob.glob(os.path.join(include, "hvpt", "**", "*.h"), recursive=True))]
        source, target = os.path.join(folder, "all.c"), os.path.join(folder, "all.o")
        with open(source, "w", encoding="utf-8") as out:
            out.write("".join("#include <%s>\n" % name for name in names))
        if not self.compile(include, source, target, ["-O1", "-fkeep-inline-functions", "-fkeep-static-functions"]):
            return None
        said = subprocess.run(["objdump", "-dsr", "-j", ".text", "-j", ".rodata", "-j", ".data.rel.ro.local", "-j", ".text.unlikely", "-j", ".text.hot",
                               target], capture_output=True, check=False).stdout
        return hashlib.sha256(said.split(b"\n", 3)[-1]).hexdigest()

    def reach(self):
        """Which lines each unit program reaches, and how long it takes: measured once for these headers and tests."""
        key = hashlib.sha256()
        for path in sorted(glob.glob(os.path.join(self.root, "include", "hvpt", "**", "*.h"), recursive=True)
                           + glob.glob(os.path.join(self.tests, "**", "*.[ch]"), recursive=True)):
            with open(path, "rb") as source:
                key.update(source.read())
        kept = os.path.join(self.work, "reach-%s.json" % key.hexdigest()[:16])
        if os.path.exists(kept):
            with open(kept, encoding="utf-8") as source:
                return json.load(source)
        print("measuring which lines each program reaches ...", flush=True)
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            include = os.path.join(self.root, "include")
            extra = ("-O0", "--coverage", "-fkeep-inline-functions")
            objects = self.objects(include, folder, extra)
            for name in SUITES:
                program = self.suite(name, include, folder, objects, extra)
                for data in glob.glob(os.path.join(folder, "*.gcda")):
                    os.unlink(data)
                began = time.monotonic()
                subprocess.run([program, "--tap"], capture_output=True, check=False, timeout=3600)
                spent = time.monotonic() - began
                lines = {}
                data = glob.glob(os.path.join(folder, "*.gcda"))
                said = subprocess.run(["gcov", "--json-format", "--stdout"] + data, capture_output=True, text=True, cwd=folder, check=False).stdout
                for line in said.splitlines():
                    if not line.startswith("{"):
                        continue
                    for part in json.loads(line)["files"]:
                        if "include/hvpt/" in part["file"]:
                            known = lines.setdefault(part["file"].split("include/")[1], set())
                            known.update(row["line_number"] for row in part["lines"] if row["count"])
                found[name] = {"seconds": spent, "lines": {file: sorted(rows) for file, rows in lines.items()}}
                print("  %-14s %6.1f s" % (name, spent), flush=True)
        with open(kept, "w", encoding="utf-8") as out:
            json.dump(found, out)
        return found


def ran_badly(command, limit):
    """Does the program end otherwise than well?"""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0 or b"\nnot ok" in b"\n" + done.stdout


def judge(bench, reach, fault, include, folder, cbmc, cheap):
    """Who notices the fault: a name, None, or "" where it does not compile."""
    file, line = fault["file"], fault["line"]
    if file.startswith("hvpt/engine/"):
        for source, defines in ENUMERATED:
            program = os.path.join(folder, "enumerated")
            build = ["gcc", "-std=gnu11", "-O0", "-w"] + ["-D" + name for name in defines] + ["-I", include]
            if subprocess.run(build + [os.path.join(bench.root, "tests/proof", source), "-o", program], capture_output=True, check=False).returncode:
                return ""
            if ran_badly([program], 60):
                return "proof: " + " ".join([source] + defines[:2])
    objects = bench.objects(include, folder)
    if objects is None:
        return ""
    directive = fault["directive"]
    order = sorted(SUITES, key=lambda name: reach[name]["seconds"]) + ([] if cheap else DEAR)
    for name in order:
        if not directive and name in reach and line not in reach[name]["lines"].get(file, []):
            continue
        program = bench.suite(name, include, folder, objects)
        if program is None:
            return ""
        if ran_badly([program, "--tap"], 60 + 20 * reach[name]["seconds"] if name in reach else 600):
            return name
    if cbmc is not None and not cheap and (file.startswith("hvpt/format/") or file in ("hvpt/ept.h", "hvpt/npt.h", "hvpt/stage2.h", "hvpt/gstage.h")):
        word = {"ept": "-ept", "npt": "-npt", "stage2": "-s2", "gstage": "-gstage"}.get(os.path.basename(file)[:-2])
        if word is not None:
            shadow = os.path.join(folder, "tree")
            os.makedirs(shadow)
            for name in ("scripts", "tests"):
                shutil.copytree(os.path.join(bench.root, name), os.path.join(shadow, name), symlinks=True)
            shutil.copytree(include, os.path.join(shadow, "include"))
            done = subprocess.run([os.path.join(shadow, "scripts/prove"), "--tools", cbmc, word], capture_output=True, text=True, check=False)
            broken = re.findall(r"^FAILS\s+(\S+)", done.stdout, re.M)
            if broken:
                return "proof: " + broken[0]
    return None


def main(root, build, count, seed, under, seconds, cheap):
    bench = Bench(root, build)
    include = os.path.join(root, "include")
    kept = os.path.join(build, "mutants-random%s.jsonl" % ("-cheap" if cheap else ""))
    faults = []
    for path in sorted(glob.glob(os.path.join(include, "hvpt", "**", "*.h"), recursive=True)):
        name = os.path.relpath(path, include)
        if under and not any(name.startswith(folder) for folder in under):
            continue
        with open(path, encoding="utf-8") as source:
            text = source.read()
        rows = text.split("\n")
        for line, what, broken in faults_in(text):
            faults.append({"file": name, "line": line, "what": what, "directive": rows[line - 1].lstrip().startswith("#"),
                           "key": hashlib.sha256((name + what + broken).encode()).hexdigest()[:16], "text": broken})
    random.Random(seed).shuffle(faults)
    done = {}
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as source:
            done = {row["key"]: row for row in map(json.loads, source)}
    cbmc = os.path.join(build, "proof-tools")
    cbmc = os.environ.get("HVPT_PROOF_TOOLS", cbmc)
    cbmc = cbmc if os.path.isdir(cbmc) or shutil.which("cbmc") else None
    reach = bench.reach()
    with tempfile.TemporaryDirectory() as folder:
        unbroken = bench.machine_code(include, folder)
    until = time.monotonic() + seconds if seconds else None
    noticed = survived = equivalent = 0
    survivors = []
    for fault in faults:
        if noticed + survived == count or (until is not None and time.monotonic() > until):
            break
        if fault["key"] not in done:
            with tempfile.TemporaryDirectory() as folder:
                broken = os.path.join(folder, "include")
                shutil.copytree(include, broken)
                with open(os.path.join(broken, fault["file"]), "w", encoding="utf-8") as out:
                    out.write(fault["text"])
                code = bench.machine_code(broken, folder)
                if code is None:
                    by = ""
                elif code == unbroken:
                    by = "equivalent"
                else:
                    by = judge(bench, reach, fault, broken, folder, cbmc, cheap)
            row = {name: fault[name] for name in ("key", "file", "line", "what")}
            row["by"] = by
            done[fault["key"]] = row
            with open(kept, "a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")
            if by != "":
                print("%-10s %s:%d: %s%s" % ("equivalent" if by == "equivalent" else "SURVIVES" if by is None else "noticed",
                                             fault["file"], fault["line"], fault["what"], " (%s)" % by if by and by != "equivalent" else ""), flush=True)
        by = done[fault["key"]]["by"]
        noticed += by not in ("", "equivalent", None)
        equivalent += by == "equivalent"
        if by is None:
            survived += 1
            survivors.append("%s:%d: %s" % (fault["file"], fault["line"], fault["what"]))
    total = noticed + survived
    print("\n%d faults that change the machine code: %d noticed (%.1f %%), %d not; %d more changed nothing"
          % (total, noticed, 100.0 * noticed / max(total, 1), survived, equivalent))
    for line in survivors:
        print("  survived: " + line)
    return survived != 0
