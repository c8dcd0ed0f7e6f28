"""Runs the programs that build the image."""

import errno
import pathlib
import shlex
import shutil
import subprocess

from problem import Problem

_PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "sqfstar": "squashfs-tools",
    "mke2fs": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "depmod": "kmod",
    "systemd-sysusers": "systemd",
    "minisign": "minisign",
    "rauc": "rauc",
    "openssl": "openssl",
    "setpriv": "util-linux",
    "fakeroot": "fakeroot",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
}


def find(name: str) -> str:
    """The path of a program; some are in sbin, which users often do not have in their PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        raise Problem(f"{name} is missing: apt install {_PACKAGES.get(name, name)}, or run packaging/dependencies.sh device")
    return found


def run(*command: str | pathlib.Path, directory: pathlib.Path | None = None, limit: float = 600) -> str:
    """Runs a program and returns its output; its last lines are the reason if it fails."""
    words = [find(str(command[0])), *map(str, command[1:])]
    try:
        done = subprocess.run(
            words, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise Problem(f"{command[0]} did not end in {limit:.0f} s: {shlex.join(words)}") from error
    if done.returncode != 0:
        raise failure(str(command[0]), done.stdout, done.returncode)
    return done.stdout


def failure(name: str, output: str, status: int) -> Problem:
    """The problem that a program's output tells."""
    if "No space left on device" in output:
        return disk_is_full(name)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return Problem(f"{name} failed with status {status}: " + (" / ".join(lines[-4:]) or "it printed nothing"))


def disk_is_full(place: object) -> Problem:
    return Problem(f"the disk is full ({place}): free some space, or remove .cache/device")


def from_system(error: OSError) -> Problem:
    """A file that cannot be written or read."""
    if error.errno == errno.ENOSPC:
        return disk_is_full(error.filename or "below .cache/device")
    return Problem(f"{error.filename or 'the file system'}: {error.strerror}")
