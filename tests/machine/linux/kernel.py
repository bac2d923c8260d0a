# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
"""A Linux kernel as its distribution packages it: found, or fetched with apt and unpacked; nothing is installed."""
import fcntl
import glob
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

# Packages that lead to a kernel for virtual machines, the smallest first: Debian's, then Ubuntu's.
PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-kvm", "linux-image-generic",
            "linux-image-amd64")


class NoKernel(Exception):
    """Why there is none, in words."""


def ask(*command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **options)


def concrete(package):
    """The package with a version in its name on which this one depends; None if the lists do not know it."""
    said = ask("apt-cache", "depends", package).stdout.decode(errors="replace")
    found = re.search(r"Depends: (linux-image-[0-9][^\s:]*)", said)
    return found[1] if found else None


def download(package, folder):
    """Downloads the package and leaves its kernel in folder. False: no such package, or it holds no kernel."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        if ask("apt-get", "-qq", "download", package, cwd=work).returncode != 0:
            return False
        archives = glob.glob(os.path.join(work, "*.deb"))
        if not archives:
            return False
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archives[0]], stdout=subprocess.PIPE) as unpacked:
            with tarfile.open(fileobj=unpacked.stdout, mode="r|") as files:
                for member in files:
                    name = os.path.basename(member.name)
                    if os.path.dirname(member.name).lstrip("./") == "boot" and name.startswith("vmlinuz-"):
                        part = os.path.join(work, name)
                        with open(part, "wb") as out:
                            shutil.copyfileobj(files.extractfile(member), out)
                        os.replace(part, os.path.join(folder, name))
                        unpacked.kill()
                        return True
    return False


def kernel(folder):
    """Path of a kernel: $HVPT_LINUX_KERNEL, or one kept in folder. Raises NoKernel."""
    given = os.environ.get("HVPT_LINUX_KERNEL")
    if given:
        if not os.path.exists(given):
            raise NoKernel("HVPT_LINUX_KERNEL names no file")
        return given
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w") as lock:  # several tests begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = sorted(glob.glob(os.path.join(folder, "vmlinuz-*")))
        if kept:
            return kept[-1]
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise NoKernel("no apt to fetch a kernel with; HVPT_LINUX_KERNEL may name one")
        names = [name for name in map(concrete, PACKAGES) if name]
        for name in names:
            if download(name, folder):
                return sorted(glob.glob(os.path.join(folder, "vmlinuz-*")))[-1]
        raise NoKernel("apt knows no kernel package" if not names else "apt cannot download %s" % names[0])
