#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# What packagers take: the archive of a release, whose bytes depend on nothing but the tree, and the recipes of vcpkg, Conan
# and Debian, each tried with that archive as far as its tool is there.
# usage: packages.py SOURCE_ROOT
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import compilers
import tap
from install import Failed, attempt, call

# The functions that a port calls, as vcpkg documents them, for a machine without vcpkg.
VCPKG = """
set(VERSION "@version@")
set(PORT hvpt)
function(vcpkg_extract_source_archive out)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ARCHIVE" "")
  file(ARCHIVE_EXTRACT INPUT "${arg_ARCHIVE}" DESTINATION "@work@/source")
  file(GLOB top "@work@/source/*")
  set(${out} "${top}" PARENT_SCOPE)
endfunction()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${arg_SOURCE_PATH}" -B "@work@/build" -DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}
    ${arg_OPTIONS} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(vcpkg_cmake_install)
  execute_process(COMMAND "${CMAKE_COMMAND}" --install "@work@/build" COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH;PACKAGE_NAME" "")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*.cmake")
  foreach(name IN LISTS files)
    get_filename_component(base "${name}" NAME)
    file(READ "${name}" text)
    # One folder less deep, as vcpkg itself corrects it.
    string(REPLACE "/../../..\"" "/../..\"" text "${text}")
    file(WRITE "${CURRENT_PACKAGES_DIR}/share/${PORT}/${base}" "${text}")
  endforeach()
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}")
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE ${arg_FILE_LIST} "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()
"""


class Packages:
    def __init__(self, root, scratch):
        self.root = Path(root).resolve()
        self.scratch = Path(scratch)
        text = (self.root / "include/hvpt/version.h").read_text()
        self.version = text.split('HVPT_VERSION_STRING "', 1)[1].split('"', 1)[0]
        self.archive = self.scratch / f"first/hvpt-{self.version}.tar.gz"
        self.tree = self.scratch / f"tree/hvpt-{self.version}"

    def release(self):
        epoch = {"SOURCE_DATE_EPOCH": "1764400000"}
        for folder in ("first", "second"):
            call(sys.executable, str(self.root / "scripts/release"), "--dirty", str(self.scratch / folder), **epoch)
        with tarfile.open(self.archive) as tar:
            tar.extractall(self.scratch / "tree")
        # What was unpacked makes the same archive again: without git, in another folder, by somebody with another umask, language
        # and time zone, from files with other times and modes.
        again = Path(shutil.copytree(self.tree, self.scratch / "again", symlinks=True))
        for path in again.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
                os.utime(path, (1, 1))
        call("sh", "-c", 'umask 077 && exec "$0" "$@"', sys.executable, str(again / "scripts/release"), "--dirty",
             str(self.scratch / "third"), **epoch, GIT_CEILING_DIRECTORIES=str(self.scratch), TZ="Asia/Tokyo", LC_ALL="C")
        first, second, third = (list(sorted((path.name, path.read_bytes()) for path in (self.scratch / folder).iterdir()))
                                for folder in ("first", "second", "third"))
        if first != second:
            return "two runs make different bytes"
        if [name for name, _ in first] != [name for name, _ in third]:
            return "an unpacked release makes other files"
        return None if first == third else "an unpacked release does not make the same bytes"

    def sums(self):
        for kind in ("sha256", "sha512"):
            done = subprocess.run([f"{kind}sum", "-c", f"{kind.upper()}SUMS"], cwd=self.scratch / "first", capture_output=True, text=True)
            if done.returncode:
                return done.stdout + done.stderr
        return None

    def single(self):
        return compilers.compile_text(["gcc", "-x", "c", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"], self.tree / "single",
                                      '#include "hvctl.h"\n#include "hvpt.h"\n')

    def vcpkg(self):
        if not shutil.which("cmake"):
            return tap.Skip("no cmake (Debian: cmake)")
        port, work, made = self.root / "packaging/vcpkg", self.scratch / "vcpkg", self.scratch / "vcpkg/packages"
        manifest = json.loads((port / "vcpkg.json").read_text())
        if (manifest["name"], manifest["version-semver"], manifest["license"]) != ("hvpt", self.version, "MIT"):
            return f"vcpkg.json: {manifest}"
        work.mkdir()
        played = VCPKG.replace("@version@", self.version).replace("@work@", str(work))
        (work / "port.cmake").write_text(f'set(CURRENT_PACKAGES_DIR "{made}")\n{played}\ninclude("{port}/portfile.cmake")\n')
        call("cmake", "-P", str(work / "port.cmake"), HVPT_ARCHIVE=str(self.archive))
        files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
        wanted = {"include/hvpt/ept.h", "include/hvctl/vmx.h", "share/hvpt/copyright", "share/hvpt/usage",
                  "share/hvpt/hvptConfig.cmake", "share/hvpt/hvptConfigVersion.cmake", "share/pkgconfig/hvpt.pc"}
        return f"the port lacks {' '.join(sorted(wanted - files))}" if wanted - files else None

    def conan(self):
        if not shutil.which("conan") or not shutil.which("cmake"):
            return tap.Skip("no conan (PyPI: conan) or no cmake")
        home = {"CONAN_HOME": str(self.scratch / "conan-home")}
        call("conan", "profile", "detect", **home)
        call("conan", "create", str(self.tree / "packaging/conan"), **home)
        return None

    def debian(self):
        for program, package in (("dpkg-buildpackage", "dpkg-dev"), ("dh", "debhelper"), ("lintian", "lintian"), ("meson", "meson")):
            if not shutil.which(program):
                return tap.Skip(f"no {program} (Debian: {package})")
        if not self.tree.is_dir():
            return "there is no archive"
        shutil.copytree(self.tree / "packaging/debian", self.tree / "debian")
        # -d: what is wanted is here, if not as the packages that debian/control names.
        done = subprocess.run(["dpkg-buildpackage", "-us", "-uc", "-b", "-d"], cwd=self.tree, capture_output=True, text=True,
                              env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck"})
        if done.returncode:
            return done.stdout[-3000:] + done.stderr[-3000:]
        packages = {path.name.split("_")[0]: path for path in self.tree.parent.glob("*.deb")}
        held = {name: subprocess.run(["dpkg-deb", "-c", str(path)], capture_output=True, text=True, check=True).stdout
                for name, path in packages.items()}
        for name, wanted in (("libhvpt-dev", ("include/hvpt/ept.h", "include/hvctl/vmx.h", "cmake/hvpt/hvptConfig.cmake",
                                              "pkgconfig/hvctl.pc")),
                             ("hvpt", ("/usr/bin/hvpt", "man1/hvpt.1.gz", "man1/hvpt-qemu.1.gz", "completions/hvpt"))):
            missing = [path for path in wanted if path not in held.get(name, "")]
            if missing:
                return f"{name} lacks {' '.join(missing)}"
        # No bug asked for the package, since it is in no archive yet.
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "initial-upload-closes-no-bugs",
                               *map(str, self.tree.parent.glob("*.changes"))], capture_output=True, text=True)
        return None if done.returncode == 0 else done.stdout + done.stderr


def main(root):
    with tempfile.TemporaryDirectory() as scratch:
        packages = Packages(root, scratch)
        # One after another: each begins with the archive that the first one makes.
        steps = [("the same tree makes the same bytes", packages.release), ("the sums are right", packages.sums),
                 ("its single headers compile", packages.single), ("vcpkg's port, its functions played", packages.vcpkg),
                 ("conan create, with its test package", packages.conan), ("Debian's packages, and lintian", packages.debian)]
        outcomes = [(name, attempt(step)) for name, step in steps]
        return tap.run([(name, lambda outcome=outcome: outcome) for name, outcome in outcomes])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
