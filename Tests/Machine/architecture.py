"""What differs between the architectures of emulated machines."""

import os
import platform
from dataclasses import dataclass


def _has_virtualization() -> bool:
    """A /dev/kvm without the processor's own virtualization exists too, and does not boot Debian's kernel."""
    if platform.machine() != "x86_64":
        return True
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return "vmx" in flags or "svm" in flags


@dataclass(frozen=True)
class Architecture:
    """An architecture by its name in Debian, and its machine in qemu."""

    name: str
    kernel_package: str
    emulator: str
    machine: list[str]
    console: str
    # The name in uname(2).
    hardware: str

    @property
    def is_native(self) -> bool:
        return platform.machine() == self.hardware

    @property
    def accelerator(self) -> str:
        """kvm if the processor can run the guest itself, else the emulation."""
        usable = self.is_native and os.access("/dev/kvm", os.R_OK | os.W_OK) and _has_virtualization()
        return "kvm" if usable else "tcg"

    @property
    def processor(self) -> str:
        # These two extensions of arm64 are slow to emulate, and Debian needs neither.
        return "max,pauth-impdef=on,sve=off" if self.name == "arm64" and self.accelerator == "tcg" else "max"


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in [
        # The kernels for virtual machines: they are small, and have the drivers of qemu's machines.
        Architecture("arm64", "linux-image-cloud-arm64", "qemu-system-aarch64", ["-M", "virt"], "ttyAMA0", "aarch64"),
        Architecture("amd64", "linux-image-cloud-amd64", "qemu-system-x86_64", ["-M", "q35"], "ttyS0", "x86_64"),
    ]
}
