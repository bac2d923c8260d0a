#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# The ways a CMake project takes the headers in: add_subdirectory, FetchContent, find_package of what CMake or meson has
# installed, with a version, and pkg-config. Each builds and runs a program whose warnings are errors, and installs nothing
# but that program.
# All of it happens in a folder whose name has blanks.
# usage: cmake.py SOURCE_ROOT
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tap
from install import PROGRAM, Failed, attempt, call

PROJECT = """cmake_minimum_required(VERSION 3.14...4.0)
project(consumer LANGUAGES {language})
{how}
add_executable(consumer consumer.{suffix})
target_compile_options(consumer PRIVATE -Wall -Wextra -Wconversion -Werror {options})
target_link_libraries(consumer PRIVATE {target})
install(TARGETS consumer DESTINATION bin)
"""
# With hvpt::unit the program's units see prototypes, and the code is linked once: a pointer to it is the same in both.
TWO_UNITS = """#include <hvpt/space.h>
#ifndef HVPT_EXTERN
#error "hvpt::unit defines HVPT_EXTERN"
#endif
int main(void)
{
    struct hvpt_space space = {0};
    struct hvpt_mapping out;
    return hvpt_space_translate(&space, hvpt_make_gpa(0), &out) == HVPT_E_RANGE ? 0 : 1;
}
"""
# The same of hvctl's larger calls.
HVCTL_UNIT = """#include <hvctl/vmx/check.h>
#ifndef HVCTL_EXTERN
#error "hvpt::hvctl_unit defines HVCTL_EXTERN"
#endif
int main(void)
{
    static struct hvctl_vmcs_image image;
    static struct hvctl_vmx_caps caps;
    static struct hvctl_report report;
    hvctl_vmcs_image_init(&image, &caps);
    hvctl_vmx_check(&image, &caps, &report);
    return report.broken > 0 ? 0 : 1;
}
"""


class Consumers:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.scratch = Path(scratch)

    def build(self, name, how, target="hvpt::hvpt", language="C", program=PROGRAM, *more, **env):
        folder = self.scratch / name
        folder.mkdir()
        suffix, options = ("c", "-std=c11") if language == "C" else ("cc", "-std=c++17 -Wold-style-cast")
        (folder / "CMakeLists.txt").write_text(PROJECT.format(language=language, how=how, target=target, suffix=suffix,
                                                              options=options))
        (folder / f"consumer.{suffix}").write_text(program)
        build, prefix = folder / "build", folder / "prefix"
        call("cmake", "-S", str(folder), "-B", str(build), f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_BUILD_TYPE=Debug", *more,
             **env)
        call("cmake", "--build", str(build))
        call(str(build / "consumer"))
        call("cmake", "--install", str(build))
        installed = [path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()]
        return None if installed == ["bin/consumer"] else f"the program's prefix holds {' '.join(sorted(installed))}"

    def install(self, by):
        prefix, build = self.scratch / f"prefix-{by}", self.scratch / f"build-{by}"
        if by == "meson":
            call("meson", "setup", str(build), str(self.root), f"--prefix={prefix}")
            call("meson", "install", "-C", str(build))
        else:
            call("cmake", "-S", str(self.root), "-B", str(build), f"-DCMAKE_INSTALL_PREFIX={prefix}")
            call("cmake", "--install", str(build))
        return prefix

    def add_subdirectory(self, language, target="hvpt::hvpt", program=PROGRAM):
        return self.build(f"subdirectory-{language}-{target[6:]}", f'add_subdirectory("{self.root}" hvpt)', target, language, program)

    def fetch_content(self):
        """From an archive, as from a release."""
        tree = self.scratch / "released/hvpt"
        tree.mkdir(parents=True)
        for name in ("CMakeLists.txt", "LICENSE"):
            shutil.copy(self.root / name, tree)
        for name in ("include", "packaging"):
            shutil.copytree(self.root / name, tree / name)
        archive = shutil.make_archive(str(self.scratch / "hvpt"), "gztar", tree.parent, "hvpt")
        return self.build("fetched", "include(FetchContent)\n"
                          f'FetchContent_Declare(hvpt URL "{archive}")\nFetchContent_MakeAvailable(hvpt)')

    def find_package(self, by):
        prefix = self.install(by)
        version = self.version()
        find = f"-DCMAKE_PREFIX_PATH={prefix}"
        wrong = self.build(f"found-{by}", f"find_package(hvpt {version} REQUIRED)", "hvpt::hvpt", "C", PROGRAM, find)
        wrong = wrong or self.build(f"linked-{by}", "find_package(hvpt REQUIRED)", "hvpt::unit", "C", TWO_UNITS, find)
        wrong = wrong or self.build(f"hvctl-{by}", "find_package(hvpt REQUIRED)", "hvpt::hvctl_unit", "C", HVCTL_UNIT, find)
        major, minor, patch = map(int, version.split("."))
        # Another minor version is another interface before 1.0; a newer patch is not here.
        for asked, meets in ((f"{major}.{minor}", True), (f"{major}.{minor}.{patch + 1}", False), (f"{major}.{minor + 1}", False),
                             (f"{major + 1}.0", False), (f"{major}.{minor}.{patch} EXACT", True)):
            wrong = wrong or self.asks(by, find, asked, meets)
        return wrong

    def asks(self, by, find, version, meets):
        folder = self.scratch / f"asks-{by}-{version.replace(' ', '-')}"
        folder.mkdir()
        (folder / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.14...4.0)\nproject(asks LANGUAGES NONE)\n"
                                               f"find_package(hvpt {version} CONFIG REQUIRED)\n")
        done = subprocess.run(["cmake", "-S", str(folder), "-B", str(folder / "build"), find], capture_output=True, text=True)
        return None if (done.returncode == 0) == meets else f"find_package(hvpt {version}):\n{done.stdout}{done.stderr}"

    def version(self):
        text = (self.root / "meson.build").read_text()
        return text.split("version: '", 1)[1].split("'", 1)[0]

    def pkg_config(self):
        if not shutil.which("pkg-config"):
            return tap.Skip("no pkg-config (Debian: pkg-config)")
        prefix = self.scratch / "prefix-cmake"
        return self.build("pkg-config", "find_package(PkgConfig REQUIRED)\npkg_check_modules(hvctl REQUIRED IMPORTED_TARGET hvctl)",
                          "PkgConfig::hvctl", "C", PROGRAM, PKG_CONFIG_PATH=f"{prefix}/share/pkgconfig")


def main(root):
    with tempfile.TemporaryDirectory(prefix="with a blank ") as scratch:
        consumers = Consumers(root, scratch)
        steps = [("add_subdirectory, C", lambda: consumers.add_subdirectory("C")),
                 ("add_subdirectory, C++", lambda: consumers.add_subdirectory("CXX")),
                 ("add_subdirectory, linked once", lambda: consumers.add_subdirectory("C", "hvpt::unit", TWO_UNITS)),
                 ("FetchContent", consumers.fetch_content),
                 ("find_package of what CMake installed, by version", lambda: consumers.find_package("cmake")),
                 ("find_package of what meson installed, by version", lambda: consumers.find_package("meson")),
                 ("pkg-config of what CMake installed", consumers.pkg_config)]
        if not shutil.which("cmake"):
            return tap.run([(name, lambda: tap.Skip("no cmake (Debian: cmake)")) for name, _ in steps])
        outcomes = [(name, attempt(step)) for name, step in steps]
        return tap.run([(name, lambda outcome=outcome: outcome) for name, outcome in outcomes])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
