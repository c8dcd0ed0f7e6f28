"""The emulated machine: a process of qemu, its disks, and the channel to it."""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable

import images
from architecture import Architecture
from root import Root

# The slots hold small images, and the bootloader's environment is one sector, because a disk writes a sector as a whole.
_SLOT_SIZE = 8 << 20
_ENVIRONMENT_SIZE = 512


class GuestFailure(Exception):
    """The machine did not do what it must, or not in time."""


class Guest:
    """A machine whose disks stay when its power is cut."""

    def __init__(self, architecture: Architecture, root: Root, directory: str, tests: str, deadline: float) -> None:
        self._architecture, self._root, self._directory = architecture, root, directory
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        # The order is that of /dev/vda and so on in boot/init.
        self._disks = [f"{directory}/{name}" for name in ["root", "slot-a", "slot-b", "environment", "tests"]]
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", root.disk, self._disks[0]], check=True)
        for disk, size in zip(self._disks[1:4], [_SLOT_SIZE, _SLOT_SIZE, _ENVIRONMENT_SIZE]):
            with open(disk, "wb") as file:
                file.truncate(size)
        images.file_system(self._disks[4], tests, _size(tests) * 5 // 4 + (16 << 20))

    def write_slot(self, number: int, image: str) -> None:
        """Puts an image into a slot, as a factory does."""
        with open(image, "rb") as source, open(self._disks[1 + number], "r+b") as target:
            shutil.copyfileobj(source, target)

    @property
    def console(self) -> str:
        return f"{self._directory}/console.log"

    def power_on(self) -> None:
        """Starts qemu. Linux ends it together with this program."""
        machine = self._architecture
        accelerator = machine.accelerator + (",thread=multi" if machine.accelerator == "tcg" else "")
        # A panic is followed by a reboot, which is what a bootloader with a limit of attempts needs.
        arguments = (
            f"console={machine.console} quiet panic=-1 systemd.getty_auto=no systemd.show_status=no "
            "systemd.mask=systemd-modules-load.service"
        )
        command = ["setpriv", "--pdeathsig", "KILL", machine.emulator, *machine.machine, "-accel", accelerator]
        command += ["-cpu", machine.processor, "-smp", "2", "-m", "2048", "-display", "none", "-monitor", "none", "-nic", "none"]
        command += ["-no-user-config", "-kernel", self._root.kernel, "-initrd", self._root.initrd, "-append", arguments]
        command += ["-chardev", f"file,id=console,path={self.console},append=on", "-serial", "chardev:console"]
        command += ["-chardev", "stdio,id=tests,signal=off", "-device", "virtio-serial-pci"]
        command += ["-device", "virtserialport,chardev=tests,name=tests", "-device", "virtio-rng-pci"]
        for disk in self._disks:
            command += ["-drive", f"file={disk},format=raw,if=virtio,cache=writeback"]
        with open(f"{self._directory}/qemu.log", "ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self._unread = b""

    def cut_power(self) -> None:
        """Ends qemu at once: what the guest has not written to its disks is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def send(self, line: str) -> None:
        """Sends a line to guest/agent."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def read_until(self, beginning: str, seconds: float, each: Callable[[str], None] = lambda line: None) -> str:
        """The next line with this beginning. The lines before it are passed on."""
        limit = min(time.monotonic() + seconds, self._deadline)
        while True:
            line = self._line(limit, beginning)
            if line.startswith(beginning):
                return line
            each(line)

    def _line(self, limit: float, awaited: str) -> str:
        assert self._process is not None and self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            remaining = limit - time.monotonic()
            if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
                reason = "the time limit of all scenarios" if limit == self._deadline else "its time limit"
                raise GuestFailure(f"the machine did not say \"{awaited.strip()}\" within {reason}")
            chunk = os.read(descriptor, 65536)
            if not chunk:
                raise GuestFailure(f"qemu has ended, with status {self._process.wait()}: {self.log_tail('qemu.log', 5)}")
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace").rstrip("\r")

    def log_tail(self, name: str = "console.log", lines: int = 40) -> str:
        """The end of a log."""
        try:
            with open(f"{self._directory}/{name}", encoding="utf-8", errors="replace") as file:
                return "\n".join(file.read().splitlines()[-lines:])
        except FileNotFoundError:
            return ""


def _size(directory: str) -> int:
    return sum(os.path.getsize(f"{path}/{name}") for path, _, names in os.walk(directory) for name in names)
