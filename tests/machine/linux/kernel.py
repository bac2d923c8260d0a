# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""A Linux kernel as its distribution packages it: found, or fetched with apt and unpacked; nothing is installed. That of
another architecture comes from the mirrors of this machine's own package sources, by package lists in a folder of the
build: apt's own stay as they are."""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

# Packages that lead to a kernel for virtual machines, the smallest first, by Debian's names of architectures.
PACKAGES = {
    "amd64": ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-kvm", "linux-image-generic",
              "linux-image-amd64"),
    "arm64": ("linux-image-cloud-arm64", "linux-image-virtual", "linux-image-generic", "linux-image-arm64"),
    "riscv64": ("linux-image-cloud-riscv64", "linux-image-riscv64", "linux-image-generic"),
}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LATER_SUITES = ("stable", "unstable")  # where a machine's own suite does not have an architecture yet


class NoKernel(Exception):
    """Why there is none, in words."""


def ask(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **options)


class Apt:
    """This machine's apt, or the same programs with lists of their own."""

    def __init__(self, options=()):
        self.options = list(options)

    def concrete(self, package):
        """The package with a version in its name on which this one depends; None if the lists do not know it."""
        said = ask("apt-cache", *self.options, "depends", package).stdout.decode(errors="replace")
        found = re.search(r"Depends: (linux-image-[0-9][^\s:]*)", said)
        return found[1] if found else None

    def download(self, package, folder):
        """Downloads the package and leaves its kernel in folder. False: no such package, or it holds no kernel."""
        with tempfile.TemporaryDirectory(dir=folder) as work:
            if ask("apt-get", "-qq", *self.options, "download", package, cwd=work).returncode != 0:
                return False
            archives = glob.glob(os.path.join(work, "*.deb"))
            if not archives:
                return False
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archives[0]], stdout=subprocess.PIPE) as unpacked:
                with tarfile.open(fileobj=unpacked.stdout, mode="r|") as files:
                    for member in files:
                        name = os.path.basename(member.name)
                        if os.path.dirname(member.name).lstrip("./") == "boot" and name.startswith(("vmlinuz-", "vmlinux-")):
                            part = os.path.join(work, name)
                            with open(part, "wb") as out:
                                shutil.copyfileobj(files.extractfile(member), out)
                            os.replace(part, os.path.join(folder, name))
                            unpacked.kill()
                            return True
        return False


def sources():
    """(mirror, suite) of this machine's own package sources, Debian's first suite first."""
    said = ask("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(ORIGIN)").stdout
    rows = [row.split() for row in said.decode(errors="replace").splitlines()]
    return [(row[0], row[1]) for row in rows if row[2:4] == ["main", "Packages"] and row[4:] == ["Debian"]]


def apts_for(architecture, folder):
    """An apt for each suite that may have the architecture, its lists fetched."""
    if architecture == ask("dpkg", "--print-architecture").stdout.decode().strip():
        yield Apt()
        return
    own = sources()
    if not own or not os.path.exists(KEYRING):
        raise NoKernel("apt has no lists of Debian's, whose mirrors have kernels of other architectures (apt-get update)")
    for mirror, suite in own[:1] + [(own[0][0], later) for later in LATER_SUITES]:
        with tempfile.TemporaryDirectory(dir=folder) as made:
            for name in ("state/lists/partial", "cache/archives/partial"):
                os.makedirs(os.path.join(made, name))
            listed, status = os.path.join(made, "sources.list"), os.path.join(made, "status")
            with open(listed, "w") as out:
                out.write("deb [signed-by=%s] %s %s main\n" % (KEYRING, mirror, suite))
            with open(status, "w"):
                pass
            options = []
            for option in ("Dir::State=%s/state" % made, "Dir::State::status=" + status, "Dir::Cache=%s/cache" % made,
                           "Dir::Etc::sourcelist=" + listed, "Dir::Etc::sourceparts=/dev/null", "Acquire::Languages=none",
                           "APT::Architecture=" + architecture, "APT::Architectures=" + architecture):
                options += ["-o", option]
            if ask("apt-get", "-qq", *options, "update").returncode == 0:
                yield Apt(options)


def fetch(architecture, folder):
    """Leaves a kernel in folder, or raises NoKernel."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise NoKernel("no apt to fetch a kernel with; %s may name one" % variable(architecture))
    last, listed = None, False
    for apt in apts_for(architecture, folder):
        listed = True
        for name in filter(None, map(apt.concrete, PACKAGES[architecture])):
            if apt.download(name, folder):
                return
            last = name
    raise NoKernel("apt cannot download %s" % last if last else "apt knows no kernel package for %s" % architecture if listed
                   else "apt cannot fetch package lists for %s" % architecture)


def variable(architecture):
    return "HVPT_LINUX_KERNEL" + ("" if architecture == "amd64" else "_" + architecture.upper())


def kernel(folder, architecture="amd64"):
    """Path of a kernel: $HVPT_LINUX_KERNEL, with _ARM64 or _RISCV64 for these; or one kept in folder. Raises NoKernel."""
    given = os.environ.get(variable(architecture))
    if given:
        if not os.path.exists(given):
            raise NoKernel("%s names no file" % variable(architecture))
        return given
    folder = os.path.join(folder, architecture)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:  # several tests begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not glob.glob(os.path.join(folder, "vmlinu[xz]-*")):
            fetch(architecture, folder)
        return sorted(glob.glob(os.path.join(folder, "vmlinu[xz]-*")))[-1]
