"""Makes the root file system of the emulated machine, with Debian's kernel: once for each architecture, below the cache."""

import contextlib
import glob
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass

import binfmt
import images
import initrd
from architecture import Architecture

SUITE = "trixie"
# What packaging/debian/control depends on, because the machine has no network. Each further package costs time.
_PACKAGES = "systemd systemd-sysv dbus minisign libcurl4t64 libssl3t64 libsystemd0 libstdc++6"
_SIZE = 1500 << 20


@dataclass(frozen=True)
class Root:
    """The files from which a machine boots."""

    disk: str
    kernel: str
    initrd: str


def prepare(architecture: Architecture, cache: str, boot_files: str) -> Root:
    """The cached files, which are made if they are missing or if what they are made of has changed."""
    directory = f"{cache}/{architecture.name}"
    stamp = _digest([__file__, initrd.__file__, *sorted(glob.glob(f"{boot_files}/*"))])
    root = Root(f"{directory}/root.ext4", f"{directory}/vmlinuz", f"{directory}/initrd")
    system = f"{cache}/{architecture.name}-debian"
    if not os.path.exists(system) or _read(f"{system}.packages") != _PACKAGES:
        _make_system(architecture, system)
    if _read(f"{directory}/stamp") != stamp:
        _make_disk(system, directory, boot_files, root, stamp)
    return root


def _make_system(architecture: Architecture, directory: str) -> None:
    """Debian with its packages, as a tree, and next to it the kernel and busybox, which are only unpacked."""
    if os.geteuid() != 0:
        raise PermissionError("making a root file system needs root")
    print(f"Making a Debian {SUITE} for {architecture.name} with mmdebstrap (700 MB below {directory})", file=sys.stderr)
    new = f"{directory}.new"
    subprocess.run(["rm", "-rf", "--one-file-system", new, directory], check=True)
    os.makedirs(f"{new}/packages")
    hook = (
        f"cd {shlex.quote(os.path.abspath(new))}/packages && export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG && apt-get download -qq "
        f"busybox-static $(apt-cache depends {architecture.kernel_package} | sed -n 's/.*Depends: //p' | head -n 1)"
    )
    # What mmdebstrap mounts is in a namespace of its own: an interrupted run leaves no mounts.
    command = ["unshare", "--mount", "--propagation", "private", "mmdebstrap", "--quiet"]
    command += [f"--architectures={architecture.name}", "--variant=apt"]
    command += [f"--include={_PACKAGES.replace(' ', ',')}", f"--customize-hook={hook}"]
    # The directory is removed if the power fails, so dpkg need not sync it; root reads what apt has no user for.
    command += ["--dpkgopt=force-unsafe-io", '--aptopt=APT::Sandbox::User "root"']
    # mmdebstrap's own check knows only the registrations of Debian's binfmt-support.
    command += ["--skip=check/qemu", SUITE, f"{new}/root"]
    with contextlib.nullcontext() if architecture.is_native else binfmt.arm64_programs():
        subprocess.run(command, check=True)
    for package in glob.glob(f"{new}/packages/*.deb"):
        part = "busybox" if os.path.basename(package).startswith("busybox") else "kernel"
        subprocess.run(["dpkg-deb", "-x", package, f"{new}/{part}"], check=True)
    shutil.rmtree(f"{new}/packages")
    os.rename(new, directory)
    _write(f"{directory}.packages", _PACKAGES)


def _make_disk(system: str, directory: str, boot_files: str, root: Root, stamp: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    tree = f"{system}/root"
    for name in ["product", "tests", "var/log/journal"]:
        os.makedirs(f"{tree}/{name}", exist_ok=True)
    # With an empty file the boot would be the first one of a new machine, which enables every unit.
    _write(f"{tree}/etc/machine-id", hashlib.sha256(b"upgradelinkd").hexdigest()[:32] + "\n")
    _write(f"{tree}/etc/hostname", "machine\n")
    units = f"{tree}/etc/systemd/system"
    shutil.copy(f"{boot_files}/machine.service", units)
    os.makedirs(f"{units}/multi-user.target.wants", exist_ok=True)
    link = f"{units}/multi-user.target.wants/machine.service"
    if not os.path.lexists(link):
        os.symlink("../machine.service", link)
    images.file_system(root.disk, tree, _SIZE)
    shutil.copy(glob.glob(f"{system}/kernel/boot/vmlinuz-*")[0], root.kernel)
    initrd.make(root.initrd, f"{system}/kernel", f"{system}/busybox/usr/bin/busybox", f"{boot_files}/init")
    _write(f"{directory}/stamp", stamp)


def _digest(paths: list[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
