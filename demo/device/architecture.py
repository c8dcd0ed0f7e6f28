"""What differs between the architectures."""

import dataclasses
import platform


@dataclasses.dataclass(frozen=True)
class Architecture:
    debian: str
    machine: str
    """The name that uname prints."""
    kernel: str
    grub: str
    """The package with GRUB as one signed program, and the program's path."""
    grub_path: str
    efi_name: str
    console: str
    qemu: str
    board: tuple[str, ...]
    emulated_cpu: str
    firmware: str
    firmware_package: str
    firmware_variables: str

    @property
    def is_native(self) -> bool:
        return platform.machine() == self.machine


AMD64 = Architecture(
    debian="amd64",
    machine="x86_64",
    kernel="linux-image-cloud-amd64",
    grub="grub-efi-amd64-signed",
    grub_path="usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    efi_name="BOOTX64.EFI",
    console="ttyS0",
    qemu="qemu-system-x86_64",
    board=("-machine", "q35"),
    emulated_cpu="qemu64",
    firmware="/usr/share/OVMF/OVMF_CODE_4M.fd",
    firmware_package="ovmf",
    firmware_variables="/usr/share/OVMF/OVMF_VARS_4M.fd",
)

ARM64 = Architecture(
    debian="arm64",
    machine="aarch64",
    kernel="linux-image-arm64",
    grub="grub-efi-arm64-signed",
    grub_path="usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed",
    efi_name="BOOTAA64.EFI",
    console="ttyAMA0",
    qemu="qemu-system-aarch64",
    board=("-machine", "virt"),
    emulated_cpu="cortex-a57",
    firmware="/usr/share/AAVMF/AAVMF_CODE.fd",
    firmware_package="qemu-efi-aarch64",
    firmware_variables="/usr/share/AAVMF/AAVMF_VARS.fd",
)

ALL = {"amd64": AMD64, "arm64": ARM64}
