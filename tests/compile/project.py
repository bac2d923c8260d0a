#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# What a project owes beside its code: continuous integration that runs the command of its developers, a manual page and
# completions that know every subcommand, the files that people look for, and what a registry of crates asks for.
# usage: project.py SOURCE_ROOT
import re
import shutil
import subprocess
import sys
from pathlib import Path

import tap

CI = (".github/workflows/test.yml", ".forgejo/workflows/test.yml", ".gitlab-ci.yml", ".builds.yml")
LOOKED_FOR = ("LICENSE", "SECURITY.md", "CHANGELOG.md", "docs/api-policy.md", "docs/contributing.md", "docs/users.md",
              "docs/guide/tasks.md", "docs/architecture.md")


def integration(root):
    """Each forge's file calls .ci/run, which is scripts/test, with options that scripts/test has."""
    wrong = []
    options = set(re.findall(r"^        (--[\w-]+)\)", (root / "scripts/test").read_text(), re.M))
    if not re.search(r'^exec scripts/test "\$@"$', (root / ".ci/run").read_text(), re.M):
        wrong.append(".ci/run is not scripts/test")
    for name in CI:
        text = (root / name).read_text()
        calls = re.findall(r"\.ci/run([^\n]*)$", text, re.M)
        unknown = {word for call in calls for word in call.split()} - options
        if not calls or unknown:
            wrong.append(f"{name}: calls {calls}, unknown {sorted(unknown)}")
        if "\t" in text:
            wrong.append(f"{name}: a tab, which YAML does not take")
    return "\n".join(wrong) or None


def subcommands(root):
    """main.c lists them; the manual page and each shell's completion know all of them, and no other."""
    tools = root / "tools/hvpt"
    commands = set(re.findall(r'^    \{"(\w+)", "', (tools / "main.c").read_text(), re.M))
    manual = (tools / "man/hvpt.1").read_text()
    found = {"man/hvpt.1, the synopsis": set(re.findall(r"^\.B hvpt (\w+)$", manual, re.M)),
             "completion/hvpt.bash": set(re.search(r'compgen -W "([a-z ]+) --help', (tools / "completion/hvpt.bash").read_text())
                                         .group(1).split())}
    wrong = [f"{name}: {sorted(there)}" for name, there in found.items() if there != commands]
    for name in ("completion/_hvpt", "completion/hvpt.fish"):
        text = (tools / name).read_text()
        wrong += [f"{name} lacks {command}" for command in commands if not re.search(rf"\b{command}\b", text)]
    return f"main.c: {sorted(commands)}\n" + "\n".join(wrong) if wrong or len(commands) < 6 else None


def manual(root):
    if not shutil.which("groff"):
        return tap.Skip("no groff (Debian: groff)")
    said = ""
    for page in sorted((root / "tools/hvpt/man").iterdir()):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-wall", "-z", str(page)], capture_output=True, text=True)
        said += done.stderr + ("" if done.returncode == 0 else f"exit code {done.returncode}\n")
    return said or None


def looked_for(root):
    readme = (root / "README.md").read_text()
    wrong = [f"README.md does not lead to {name}" for name in LOOKED_FOR if f"]({name})" not in readme]
    wrong += [f"no {name}" for name in (*LOOKED_FOR, "CODE_OF_CONDUCT.md", "CITATION.cff") if not (root / name).is_file()]
    return "\n".join(wrong) or None


def crate(root):
    """What a registry asks of a crate, and what it shows of it."""
    folder = root / "integration/rust/hvpt"
    text = (folder / "Cargo.toml").read_text().split("\n[features]")[0]
    keys = dict(re.findall(r"^([\w-]+) = (.*)$", text, re.M))
    wrong = [f"no {key}" for key in ("description", "license", "documentation", "readme", "keywords", "categories",
                                     "rust-version") if key not in keys]
    if len(re.findall(r'"', keys.get("keywords", ""))) > 10:
        wrong.append("more than five keywords")
    if (folder / "LICENSE").read_text() != (root / "LICENSE").read_text():
        wrong.append("another licence")
    if not re.search(r"^```rust\n", (folder / "README.md").read_text(), re.M):
        wrong.append("its README.md has no example")
    return "\n".join(wrong) or None


def main(root):
    root = Path(root)
    return tap.run([("continuous integration runs what developers run", lambda: integration(root)),
                    ("manual page and completions know every subcommand", lambda: subcommands(root)),
                    ("the manual pages are formatted without a warning", lambda: manual(root)),
                    ("what people look for is there, and README.md leads to it", lambda: looked_for(root)),
                    ("the crate has what a registry asks for", lambda: crate(root))])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
