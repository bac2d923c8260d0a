# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""An emulator's program: where it is, and how it starts. One that lies in another suite's root starts with the loader, the
libraries and the data files of that suite, and nothing of it has to be installed or to be root's."""
import glob
import os
import shutil


class Program:
    """words: what a command begins with; options: QEMU's for its data files; variables: what else it needs to find them."""

    def __init__(self, path, root=None):
        self.path, self.root = path, root
        self.words, self.options, self.variables = [path], [], {}
        loader = root and first(root, "lib64/ld-linux-*.so.*", "usr/lib64/ld-linux-*.so.*", "lib/ld-linux-*.so.*",
                                "usr/lib/ld-linux-*.so.*")
        if not loader:
            return
        libraries = library_folders(root)
        self.words = [loader, "--library-path", ":".join(libraries), path]
        for folder in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
            if os.path.isdir(os.path.join(root, folder)):
                self.options += ["-L", os.path.join(root, folder)]
        modules = first(root, "usr/lib/*/qemu")
        plugins = first(root, "usr/lib/*/bochs/plugins", "usr/lib/bochs/plugins")
        if modules:
            self.variables["QEMU_MODULE_DIR"] = modules
        if plugins:
            self.variables["LTDL_LIBRARY_PATH"] = plugins
        if os.path.isdir(os.path.join(root, "usr/share/bochs")):
            self.variables["BXSHARE"] = os.path.join(root, "usr/share/bochs")

    def __str__(self):
        return self.path

    def __eq__(self, other):
        return isinstance(other, Program) and self.words == other.words

    def __hash__(self):
        return hash(self.path)

    def environment(self):
        """Ours without malloc's perturbation, which test runners set: Bochs' exit qualification of an instruction with a
        register operand is memory that it never wrote, where the SDM leaves the displacement of such an instruction at 0."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
        return {**ours, **self.variables}


def first(root, *patterns):
    """The first thing in root that fits one of the patterns, or None."""
    return next((path for pattern in patterns for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern)))), None)


def library_folders(root):
    """Where the suite keeps libraries. Some of them find others by an absolute path, which would lead out of the root: so
    the folders of these count, too."""
    folders = []
    for pattern in ("lib/*-linux-gnu*", "usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/*", "lib", "usr/lib"):
        for folder in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            if os.path.isdir(folder) and glob.glob(os.path.join(glob.escape(folder), "*.so*")):
                folders.append(folder)
    return folders


def find(name):
    """The program: of a folder in HVPT_EMULATORS, be it one with programs or the root of a suite, if it is there; else of
    PATH. None: nowhere."""
    for folder in filter(None, os.environ.get("HVPT_EMULATORS", "").split(os.pathsep)):
        folder = os.path.abspath(folder)
        path = shutil.which(name, path=folder)
        if path:
            return Program(path)
        path = shutil.which(name, path=os.pathsep.join(os.path.join(folder, bin) for bin in ("usr/bin", "bin")))
        if path:
            return Program(path, folder)
    path = shutil.which(name)
    return Program(path) if path else None
