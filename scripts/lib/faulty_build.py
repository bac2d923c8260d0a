# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""The test programs, built over headers that hold many faults at once.

For scripts/mutants. Of a function with faults there are copies beside it, one a fault; the function itself begins with
a look at hvpt_fault, a number that a program takes from the environment variable HVPT_FAULT when it starts, and goes to
the copy of that number. So a program is compiled once, and each fault costs a run of it. What C computes when it
compiles (macros) is broken by itself, in a tree with that one fault. With HVPT_FAULT_REACHED, the name of a file, a
program also tells which of the functions with faults it calls.

Each tree is a copy of this one in the build directory, built by Meson, which knows the programs and their sources:
"choice" has the copies, "single" has one fault at a time.
"""
import collections
import concurrent.futures
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time

import same_code

CHOICE = """extern char *getenv(const char *name);
extern int atoi(const char *text);
extern int open(const char *path, int flags, ...);
extern void *mmap(void *at, unsigned long size, int protection, int flags, int file, long offset);
static __attribute__((__unused__)) int hvpt_fault;
static __attribute__((__unused__)) unsigned char *hvpt_fault_reached; /* a byte each function */

static __attribute__((__constructor__)) void hvpt_fault_choose(void)
{
    const char *number = getenv("HVPT_FAULT"), *reached = getenv("HVPT_FAULT_REACHED");

    hvpt_fault = number ? atoi(number) : 0;
    if (reached)
        hvpt_fault_reached = (unsigned char *)mmap(0, REACHED, 3, 1, open(reached, 2), 0);
}

/* Is the fault chosen one of this function, which has those from first to last? */
static inline __attribute__((__always_inline__, __unused__)) int hvpt_fault_within(int first, int last)
{
    if (hvpt_fault_reached)
        hvpt_fault_reached[first] = 1;
    return hvpt_fault >= first && hvpt_fault <= last;
}
"""
REACHED = 1 << 16  # no more faults than that
ENUMERATED = [("engine.c", [operation, "KIND=%d" % kind, "INDEX_BITS=1", "ROOT=2", "LEAVES=2"])
              for operation in ("MAP", "UNMAP", "PROTECT", "REPLACE", "SPLIT", "COLLAPSE", "FAULT_MAP")
              for kind in (3, 0, 4)]
ENUMERATED += [("interleave.c", []), ("interleave.c", ["MAP"])]
MEMORY = 4 << 30
LONG = 3600  # seconds, without a fault


def broken(text, fault):
    """The text with that fault."""
    begin, end, new = fault["edit"]
    return text[:begin] + new + text[end:]


def copies(name, text, faults, unbroken=False):
    """The text of a header with all these faults of its functions, each by its number; 0: as it is, if asked for."""
    where = collections.defaultdict(list)
    functions = {}
    for fault in faults:
        where[fault["within"].start].append(fault)
        functions[fault["within"].start] = fault["within"]
    out, done = [], 0
    def line(place):
        return '#line %d "%s"\n' % (text.count("\n", 0, place) + 1, name)
    for start, function in sorted(functions.items()):
        own = where[start]
        head = "static __attribute__((%s, __unused__)) %s %%s(%s)\n" % (
            "__noipa__" if unbroken else "__noinline__", function.result, function.parameters.replace("\n", " "))
        call = "return %%s(%s);\n" % ", ".join(function.arguments)
        if unbroken:
            own = own + [dict(own[0], number=0, edit=(function.end, function.end, ""))]
        named = {fault["number"]: "%s_fault_%d" % (function.name, fault["number"]) for fault in own}
        out += [text[done:start], text[start:function.opening].rstrip(), ";\n"]
        for fault in own:
            begin, end, new = fault["edit"]
            out += ['#line 1 "fault %d"\n' % fault["number"], head % named[fault["number"]],
                    text[function.opening:begin], new, text[end:function.end]]
        out += [head % (function.name + "_broken"), "{\n    switch (hvpt_fault) {\n"]
        out += ["    case %d: %s" % (number, call % copy) for number, copy in named.items()]
        out += ["    default: __builtin_trap();\n    }\n}\n", line(start), text[start:function.opening], "{\n"]
        out += ["    if (hvpt_fault_within(%d, %d))\n        " % (own[0]["first"], max(named))]
        out += [call % (function.name + "_broken"), line(function.opening + 2), text[function.opening + 2:function.end]]
        done = function.end
    return "".join(out) + text[done:]


def run(command, limit, fault=0, memory=MEMORY, reached=None):
    """(What is wrong, or None; how long it took.) The program and all that it started are gone afterwards.

    limit is in seconds of processor time, so that a busy machine makes nobody late.
    """
    def bounded():
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 6))
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    environment = dict(os.environ, HVPT_FAULT=str(fault))
    if reached is not None:
        environment["HVPT_FAULT_REACHED"] = reached
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, start_new_session=True,
                              env=environment, preexec_fn=bounded) as process:
            try:
                code = process.wait(60 + 10 * limit)
            except subprocess.TimeoutExpired:
                code = None
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        said.seek(0)
        failed = [line for line in said.read().decode(errors="replace").splitlines() if line.startswith("not ok")]
    seconds = time.monotonic() - began
    if code is None:
        return "it did not end", seconds
    return failed[0] if failed else "it ended with %d" % code if code else None, seconds


class Program:
    """A test program: its name, the command that runs it, and what ninja or gcc makes it from."""

    def __init__(self, name, command, target, build=None):
        self.name, self.command, self.target, self.build = name, command, target, build
        self.seconds, self.reached, self.files = 0.0, frozenset(), {}  # files: the share of what it calls

    def reaches(self, fault):
        """Does the program call the function of the fault? It has been asked while the tree held that fault."""
        return fault.get("first") in self.reached


class Tree:
    """A copy of the source tree with headers of its own, and the programs that Meson builds in it."""

    def __init__(self, root, folder, name, options, halves):
        self.root, self.halves, self.include = root, halves, os.path.join(folder, name, "include")
        self.tree, self.build = os.path.join(folder, name), os.path.join(folder, name, "build")
        self.choice = os.path.join(folder, "choice.h")
        self.put(self.choice, CHOICE.replace("REACHED, 3", "%d, 3" % REACHED))
        self.headers = {}
        self.copy()
        if not os.path.exists(self.include):
            self.set_headers({})
        self.flags = ["-w", "-include", self.choice]
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            self.ask(["meson", "setup", self.build, self.tree, "-Dtests=true", "-Ddebug=false",
                      "-Dc_args=" + " ".join(self.flags)] + options)
        self.programs = self.find()

    def put(self, path, text):
        """Write the file, unless it has that text: ninja goes by its time."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = text if isinstance(text, bytes) else text.encode()
        if os.path.exists(path):
            with open(path, "rb") as old:
                if old.read() == data:
                    return
        with open(path, "wb") as out:
            out.write(data)

    def copy(self):
        for folder, below, names in os.walk(self.root):
            below[:] = [name for name in below if not name.startswith((".", "build", "__pycache__"))]
            for name in names:
                path = os.path.join(folder, name)
                there = os.path.join(self.tree, os.path.relpath(path, self.root))
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                with open(path, "rb") as source:
                    data = source.read()
                if there.startswith(self.include):
                    self.headers[os.path.relpath(there, self.include)] = data.decode()
                else:
                    self.put(there, data)
                    shutil.copymode(path, there)

    def set_headers(self, changed):
        """The headers as they are, but for those that changed has a text for."""
        for name, text in self.headers.items():
            self.put(os.path.join(self.include, name), changed.get(name, text))

    def ask(self, command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError("%s: %s" % (" ".join(command), (done.stdout + done.stderr)[-2000:]))
        return done.stdout

    def find(self):
        found = []
        for test in json.loads(self.ask(["meson", "introspect", "--tests", self.build])):
            target = os.path.relpath(test["cmd"][0], self.build)
            name = test["name"]
            if not target.startswith("tests/unit/"):
                continue
            if name.startswith("hvctl") and "hvctl" not in self.halves:
                continue
            command = [os.path.abspath(word) if "/" in word else word for word in test["cmd"]]
            found.append(Program(name, command + (["--fail-fast"] if "--tap" in command else []), target))
        for number, (source, defines) in enumerate(ENUMERATED if "hvpt" in self.halves else []):
            target = os.path.join(self.build, "enumerated-%d" % number)
            command = ["gcc", "-std=gnu11", "-O1", "-I", self.include] + self.flags + ["-D" + word for word in defines]
            command += [os.path.join(self.tree, "tests", "proof", source), "-o", target]
            found.append(Program("proof %s" % " ".join([source] + defines[:2]), [target], target, command))
        return found

    def make(self, program):
        """Build one program; False: it does not compile."""
        command = program.build or ["ninja", "-C", self.build, program.target]
        if program.build is not None and os.path.exists(program.target):
            sources = [os.path.join(folder, name) for top in (self.include, os.path.join(self.tree, "tests", "proof"))
                       for folder, _, names in os.walk(top) for name in names]
            if os.path.getmtime(program.target) > max(os.path.getmtime(path) for path in sources + [self.choice]):
                return True
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def make_all(self, jobs):
        self.ask(["ninja", "-j%d" % jobs, "-C", self.build] + [program.target for program in self.programs
                                                              if program.build is None])
        for program in self.programs:
            if program.build is not None and not self.make(program):
                raise RuntimeError("does not compile: " + program.name)

    def all_headers(self, command, copied=(), unbroken=False):
        """Give the compiler a unit that includes every header, or their text with copies for these faults.

        Answers with what it ended with and what it said. The headers of the tree stay what they are.
        """
        with tempfile.TemporaryDirectory() as folder:
            include, source = self.include, os.path.join(folder, "all.c")
            if copied:
                include = os.path.join(folder, "include")
                for name, text in self.with_copies(copied, unbroken).items():
                    self.put(os.path.join(include, name), text)
            with open(source, "w", encoding="utf-8") as out:
                out.writelines("#include <%s>\n" % name for name in sorted(self.headers)
                               if name.endswith(".h") and name.split("/")[0] in self.halves)
            done = subprocess.run(["gcc", "-std=c11", "-I", include] + self.flags + command + [source],
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def with_copies(self, faults, unbroken=False):
        """The text of every header with the copies for these faults."""
        changed = {}
        for fault in faults:
            changed.setdefault(fault["file"], []).append(fault)
        return {name: copies(name, text, changed[name], unbroken) if name in changed else text
                for name, text in self.headers.items()}

    def machine_code(self):
        """All that the headers compile to, as a number; None: they do not."""
        parts = [word for part in ("text", "text.unlikely", "text.hot", "rodata", "data.rel.ro.local")
                 for word in ("-j", "." + part)]
        with tempfile.TemporaryDirectory() as folder:
            target = os.path.join(folder, "all.o")
            kept = ["-fkeep-inline-functions", "-fkeep-static-functions"]
            if self.all_headers(["-O2", "-c", "-o", target] + kept)[0]:
                return None
            said = subprocess.run(["objdump", "-dsr"] + parts + [target], capture_output=True, check=False).stdout
        return hashlib.sha256(said.split(b"\n", 3)[-1]).hexdigest()

    def hold(self, faults):
        """Number the faults and put their copies into the headers. Answers with those that do not compile."""
        first = {}
        for number, fault in enumerate(sorted(faults, key=lambda fault: (fault["file"], fault["within"].start)), 1):
            place = (fault["file"], fault["within"].start)
            fault["number"], fault["first"] = number, first.setdefault(place, number)
        left, bad = list(faults), {None}
        while bad and left:
            bad = self.broken_copies(left) | self.broken_copies(left, ["-DHVPT_DEBUG"])
            left = [fault for fault in left if fault["number"] not in bad]
        self.set_headers(self.with_copies(left))
        return [fault for fault in faults if fault not in left]

    def broken_copies(self, faults, flags=()):
        """The numbers of the faults whose copies do not compile."""
        code, said = self.all_headers(["-fsyntax-only", "-fmax-errors=0"] + list(flags), faults)
        numbers = {int(number) for number in re.findall(r"^fault (\d+):\d+:\d+: (?:fatal )?error", said, re.M)}
        if code and not numbers:
            raise RuntimeError("the headers with their copies do not compile: " + said[:2000])
        return numbers

    def same(self, faults):
        """Those of the faults, numbered by hold, that change no machine code."""
        if not faults:
            return []
        with tempfile.TemporaryDirectory() as folder:
            target = os.path.join(folder, "all.s")
            code, said = self.all_headers(same_code.FLAGS + ["-o", target], faults, True)
            if code:
                raise RuntimeError("the headers with their copies do not compile: " + said[:2000])
            with open(target, encoding="utf-8") as source:
                numbers = same_code.same(source.read())
        return [fault for fault in faults if fault["number"] in numbers]

    def ask_each(self, kept, jobs):
        """Without a fault: what is wrong with each program, how long it takes and what it reaches. Kept in a file."""
        known = {}
        if os.path.exists(kept):
            with open(kept, encoding="utf-8") as source:
                known = json.load(source)

        def asked(program):
            with open(program.command[0], "rb") as binary:
                state = hashlib.sha256(binary.read()).hexdigest()
            if state not in known:
                with tempfile.NamedTemporaryFile() as reached:
                    reached.truncate(REACHED)
                    wrong, seconds = run(program.command, LONG, reached=reached.name)
                    bits = reached.read()
                known[state] = [wrong, seconds, [number for number, bit in enumerate(bits) if bit]]
                self.put(kept, json.dumps(known))
            return known[state]

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for program, (wrong, seconds, reached) in zip(self.programs, pool.map(asked, self.programs)):
                if wrong is not None:
                    raise RuntimeError("%s fails without a fault: %s" % (program.name, wrong))
                program.seconds, program.reached = seconds, frozenset(reached)
        self.programs.sort(key=lambda program: program.seconds)
