#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The ways a project takes the headers in without CMake: copied as README.md says, installed with pkg-config, and as a meson
# subproject. Each must find every header, a build that only wants headers must compile nothing, and a project that takes
# them in as a subproject installs nothing of them.
# All of it happens in a folder whose name has blanks.
# usage: install.py SOURCE_ROOT
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from email.utils import parsedate_to_datetime
from pathlib import Path

import compilers
import tap

PROGRAM = """#include <hvpt/space.h>
#include <hvctl/vmx/exit.h>
int main(void) { return hvpt_status_text(HVPT_OK)[0] == 'o' && hvctl_vmx_exit_reason_name(48) ? 0 : 1; }
"""
CONSUMER_MESON = """project('consumer', '{language}'{options})
executable('consumer', 'consumer.{suffix}', dependencies: dependency('hvpt', fallback: ['hvpt', 'hvpt_dep']), install: true)
"""
NAMED = re.compile(r"^hvpt does not need hvctl; hvctl needs a few headers of hvpt \((.*?)\)", re.M | re.S)


# Where the version stands beside version.h and meson.build, and where its date.
VERSIONED = (
    ("CHANGELOG.md", r"^## \[([^\]]*)\]"), ("CITATION.cff", r"^version: (.*)$"), ("README.md", r"^  revision = v(.*)$"),
    ("packaging/debian/changelog", r"\Ahvpt \((.*)-1\)"), ("packaging/vcpkg/vcpkg.json", r'"version-semver": "(.*)"'),
    ("packaging/README.md", r"`hvpt/(\d[\d.]*)`"), ("integration/rust/hvpt/Cargo.toml", r'^version = "(.*)"'),
    ("integration/redox/hvpt-redox/Cargo.toml", r'^version = "(.*)"'),
)
DATED = (("CHANGELOG.md", r"^## \[.*\] - (\S+)$"), ("CITATION.cff", r"^date-released: (.*)$"),
         ("packaging/debian/changelog", r"^ -- .*>  (.*)$"))


class Failed(Exception):
    pass


def call(*argv, **env):
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})
    if done.returncode:
        raise Failed(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done.stdout


def versions(root):
    """What the header, meson, the packages, the crates and README call this version; and its date."""
    header = (root / "include/hvpt/version.h").read_text()
    number = ".".join(re.search(rf"define HVPT_VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH"))
    found = {"the string in version.h": re.search(r'HVPT_VERSION_STRING "(.*)"', header).group(1),
             "meson.build": re.search(r"^  version: '(.*)'", (root / "meson.build").read_text(), re.M).group(1)}
    dates = {}
    for name, pattern in VERSIONED:
        text = (root / name).read_text()
        found[name] = re.search(pattern, text, re.M).group(1)
    for name, pattern in DATED:
        dates[name] = re.search(pattern, (root / name).read_text(), re.M).group(1)
    dates["packaging/debian/changelog"] = parsedate_to_datetime(dates["packaging/debian/changelog"]).date().isoformat()
    if len(set(dates.values())) != 1:
        return f"the dates of the release differ: {dates}"
    wrong = [f"{where} says {version}" for where, version in found.items() if version != number]
    return f"version.h says {number}; {'; '.join(wrong)}" if wrong else None


def copied(root, scratch):
    """hvpt alone, and hvctl with exactly the headers that README.md names."""
    include = root / "include"
    alone, both = scratch / "alone", scratch / "both"
    shutil.copytree(include / "hvpt", alone / "hvpt")
    named = re.findall(r"`([^`]+)`", NAMED.search((root / "README.md").read_text()).group(1))
    shutil.copytree(include / "hvctl", both / "hvctl")
    for name in named:
        (both / "hvpt" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(include / "hvpt" / name, both / "hvpt" / name)
    argv = ["gcc", "-x", "c", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    for folder, half in ((alone, "hvpt"), (both, "hvctl")):
        names = [name for name in compilers.headers(include) if name.startswith(half + "/")]
        wrong = compilers.compile_text(argv, folder, "".join(f"#include <{name}>\n" for name in names))
        if wrong:
            return f"{half} copied, with {', '.join(named)}:\n{wrong}"
    return None


class Install:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.scratch = Path(scratch)
        self.prefix = self.scratch / "prefix"
        self.headers = compilers.headers(self.root / "include")

    def installs(self):
        build = self.scratch / "build"
        call("meson", "setup", str(build), str(self.root), f"--prefix={self.prefix}")
        targets = call("meson", "introspect", "--targets", str(build)).strip()
        if targets != "[]":
            return f"a build for its headers has targets: {targets}"
        call("meson", "install", "-C", str(build))
        installed = compilers.headers(self.prefix / "include")
        if installed != self.headers:
            return f"installed {installed}\nthe tree has {self.headers}"
        return None if (self.prefix / "share/licenses/hvpt/LICENSE").is_file() else "no licence installed"

    def pkg_config(self, module):
        if not shutil.which("pkg-config"):
            return tap.Skip("no pkg-config (Debian: pkg-config)")
        there = {"PKG_CONFIG_PATH": str(self.prefix / "share" / "pkgconfig")}
        flags = shlex.split(call("pkg-config", "--cflags", module, **there))
        if not flags:
            return "pkg-config gives no flags"
        version = call("pkg-config", "--modversion", module, **there).strip()
        text = f'#include <hvpt/version.h>\n#define SAME(a, b) (sizeof(a) == sizeof(b))\n_Static_assert(SAME(HVPT_VERSION_STRING, "{version}"), "");'
        return compilers.compile_text(["gcc", "-x", "c", *flags, "-fsyntax-only"], self.prefix / "none", text + "\n" + PROGRAM)

    def subproject(self, language):
        """The tree as a subproject of a program in one language that installs itself."""
        suffix = {"c": "c", "cpp": "cc"}[language]
        consumer = self.scratch / f"consumer-{language}"
        (consumer / "subprojects").mkdir(parents=True)
        options = "" if language == "c" else ", default_options: ['cpp_std=c++17', 'werror=true', 'warning_level=3']"
        (consumer / "meson.build").write_text(CONSUMER_MESON.format(language=language, suffix=suffix, options=options))
        (consumer / f"consumer.{suffix}").write_text(PROGRAM)
        copy = consumer / "subprojects" / "hvpt"
        copy.mkdir()
        for name in ("meson.build", "meson_options.txt", "LICENSE"):
            shutil.copy(self.root / name, copy)
        shutil.copytree(self.root / "include", copy / "include")
        build = consumer / "build"
        # A program in C++ alone needs no C compiler.
        none = {} if language == "c" else {"CC": "no-c-compiler"}
        call("meson", "setup", str(build), str(consumer), "--wrap-mode=forcefallback", f"--prefix={consumer}/prefix", **none)
        call("ninja", "-C", str(build))
        call(str(build / "consumer"))
        call("meson", "install", "-C", str(build))
        installed = [path.relative_to(consumer / "prefix").as_posix() for path in (consumer / "prefix").rglob("*") if path.is_file()]
        return None if installed == ["bin/consumer"] else f"the program's prefix holds {' '.join(sorted(installed))}"


def attempt(step):
    try:
        return step()
    except Failed as failed:
        return str(failed)


def main(root):
    with tempfile.TemporaryDirectory(prefix="with a blank ") as scratch:
        install = Install(root, scratch)
        # One after another: pkg-config looks at what was installed. tap.run only prints.
        steps = [("there is one version", lambda: versions(install.root)),
                 ("copied, as README.md says", lambda: copied(install.root, install.scratch)),
                 ("every header is installed and nothing is built", install.installs),
                 ("pkg-config finds the installed headers, hvpt", lambda: install.pkg_config("hvpt")),
                 ("pkg-config finds the installed headers, hvctl", lambda: install.pkg_config("hvctl")),
                 ("a meson subproject of a program in C", lambda: install.subproject("c")),
                 ("a meson subproject of a program in C++", lambda: install.subproject("cpp"))]
        outcomes = [(name, attempt(step)) for name, step in steps]
        return tap.run([(name, lambda outcome=outcome: outcome) for name, outcome in outcomes])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
