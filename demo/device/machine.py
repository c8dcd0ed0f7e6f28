"""The emulated device: starts qemu, and gives the lines of its console."""

import collections
import fcntl
import os
import pathlib
import re
import selectors
import shutil
import subprocess
import time
import typing

import tools
from architecture import Architecture
from problem import Problem

_KVM_GET_API_VERSION = 0xAE00
# What the firmware and GRUB send to a terminal. A move of the cursor begins a new line.
_MOVE = re.compile(r"\x1b\[\d*;?\d*H|\x1b\[2J|\r")
_ESCAPE = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>cM7-8]|[\x00-\x08\x0b-\x1f]")


class KVMFailure(Exception):
    """A virtual machine inside another one may have a KVM that cannot run the firmware."""


def has_kvm(architecture: Architecture) -> bool:
    if not architecture.is_native:
        return False
    try:
        descriptor = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(fcntl.ioctl(descriptor, _KVM_GET_API_VERSION) == 12)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def lines_of(text: str) -> list[str]:
    """The lines of a part of the console's output, without escape sequences and control characters."""
    return [line for line in (_ESCAPE.sub("", part).strip() for part in text.split("\n")) if line]


class Machine:
    """Always ended: by itself, by `stop`, or by the kernel if this program is killed."""

    def __init__(self, architecture: Architecture, disk: pathlib.Path, log: pathlib.Path, kvm: bool) -> None:
        variables = log.with_name("firmware-variables.fd")
        for path in (architecture.firmware, architecture.firmware_variables):
            if not os.path.exists(path):
                raise Problem(f"{path} is missing: apt install {architecture.firmware_package}")
        shutil.copyfile(architecture.firmware_variables, variables)
        emulated = ["-accel", "tcg,thread=multi", "-cpu", architecture.emulated_cpu]
        accelerator = ["-accel", "kvm", "-cpu", "host"] if kvm else emulated
        self._command = [
            tools.find("setpriv"), "--pdeathsig", "KILL", tools.find(architecture.qemu), *architecture.board,
            *accelerator,
            # Emulated, the EFI firmware was seen to hang after a reset: each boot has a qemu of its own.
            "-no-reboot", "-smp", "2" if kvm else "1", "-m", "768", "-nodefaults", "-nic", "none",
            "-display", "none", "-monitor", "none", "-serial", "stdio",
            "-drive", f"if=pflash,format=raw,readonly=on,file={architecture.firmware}",
            "-drive", f"if=pflash,format=raw,file={variables}",
            "-drive", f"if=none,id=disk,format=raw,cache=writeback,file={disk}", "-device", "virtio-blk-pci,drive=disk",
            "-device", "virtio-rng-pci",
        ]
        self._name = architecture.qemu
        self.tail: collections.deque[str] = collections.deque(maxlen=30)
        self._log = open(log, "w", encoding="utf-8", buffering=1)
        self._is_off = False
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        # In a session of its own, ^C ends this program first, which then ends qemu.
        return subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def lines(self) -> typing.Iterator[str]:
        """The lines of the console until the device is off; an empty one each second without any."""
        yield from self._lines_of_boot()
        while not self._is_off:
            self._process = self._start()
            yield ""
            yield from self._lines_of_boot()

    def _lines_of_boot(self) -> typing.Iterator[str]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        os.set_blocking(descriptor, False)
        rest = ""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while True:
                if not selector.select(1):
                    yield ""
                    continue
                data = os.read(descriptor, 65536)
                if not data:
                    break
                complete, newline, rest = _MOVE.sub("\n", rest + data.decode(errors="replace")).rpartition("\n")
                for line in lines_of(complete + newline):
                    yield self._kept(line)
        for line in lines_of(_MOVE.sub("\n", rest)):
            yield self._kept(line)
        status = self._process.wait(timeout=10)
        self._process.stdout.close()
        if status != 0:
            raise Problem(f"{self._name} ended with status {status}")

    def _kept(self, line: str) -> str:
        self.tail.append(line)
        self._log.write(line + "\n")
        if line.startswith("KVM internal error"):
            raise KVMFailure
        if line.endswith("reboot: Power down"):
            self._is_off = True
        return line

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
