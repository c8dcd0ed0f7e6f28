"""The disk of the device: an EFI system partition with GRUB, two slots, and the data that both use."""

import dataclasses
import os
import pathlib

import tools
from architecture import Architecture

_MEGABYTE = 1 << 20
_EFI = 48
# download.keepFree, and some space for the file system itself.
_KEPT_FREE = 128
_SERVER = 96


@dataclasses.dataclass(frozen=True)
class Layout:
    """Sizes in megabytes."""

    slot: int
    data: int

    @staticmethod
    def of(image_bytes: int, artifact_bytes: list[int]) -> "Layout":
        """The data partition keeps the server with its artifacts, a download, a copy of it, and what must stay free."""
        slot = -(-image_bytes * 5 // 4 // _MEGABYTE) + 1
        data = -(-(sum(artifact_bytes) + 2 * max(artifact_bytes)) // _MEGABYTE) + _KEPT_FREE + _SERVER
        return Layout(slot, data)

    def starts(self) -> dict[str, int]:
        return {"efi": 1, "root-A": 1 + _EFI, "root-B": 1 + _EFI + self.slot, "data": 1 + _EFI + 2 * self.slot}

    @property
    def size(self) -> int:
        return self.starts()["data"] + self.data + 1


def environment(values: dict[str, str]) -> bytes:
    """GRUB's environment block: 1024 bytes, filled up with #."""
    text = "# GRUB Environment Block\n" + "".join(f"{key}={value}\n" for key, value in values.items())
    return text.encode().ljust(1024, b"#")


def build(
    architecture: Architecture, layout: Layout, grub: bytes, configuration: str, image: pathlib.Path, data: pathlib.Path,
    work: pathlib.Path, disk: pathlib.Path,
) -> None:
    with open(disk, "wb") as file:
        file.truncate(layout.size * _MEGABYTE)
    starts = layout.starts()
    sizes = {"efi": _EFI, "root-A": layout.slot, "root-B": layout.slot, "data": layout.data}
    types = {"efi": "uefi"}
    lines = ["label: gpt"] + [
        f'start={starts[name]}MiB, size={size}MiB, name={name}, type={types.get(name, "linux")}' for name, size in sizes.items()
    ]
    table = work / "partitions"
    table.write_text("\n".join(lines) + "\n")
    tools.run("sh", "-c", f'exec "{tools.find("sfdisk")}" --quiet "{disk}" <"{table}"')

    place(_efi(architecture, grub, configuration, work), disk, starts["efi"])
    place(image, disk, starts["root-A"])
    place(_data(layout, data, work), disk, starts["data"])


def _efi(architecture: Architecture, grub: bytes, configuration: str, work: pathlib.Path) -> pathlib.Path:
    files = work / "efi"
    for name in ("EFI/BOOT", "EFI/debian"):
        (files / name).mkdir(parents=True)
    (files / "EFI/BOOT" / architecture.efi_name).write_bytes(grub)
    (files / "EFI/debian/grub.cfg").write_text(configuration.replace("@CONSOLE@", architecture.console))
    (files / "EFI/debian/grubenv").write_bytes(
        environment({"ORDER": "A B", "A_OK": "1", "A_TRY": "0", "B_OK": "0", "B_TRY": "0"}))
    partition = work / "efi.img"
    with open(partition, "wb") as file:
        file.truncate(_EFI * _MEGABYTE)
    tools.run("mkfs.vfat", "-n", "EFI", partition)
    tools.run("mcopy", "-s", "-i", partition, files / "EFI", "::")
    return partition


def _data(layout: Layout, data: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    partition = work / "data.img"
    with open(partition, "wb") as file:
        file.truncate(layout.data * _MEGABYTE)
    make = [tools.find("mke2fs"), "-q", "-t", "ext4", "-m", "0", "-L", "data", "-d", str(data), str(partition)]
    # Without root, fakeroot gives the files to root.
    tools.run(*(make if os.geteuid() == 0 else ["fakeroot", *make]))
    return partition


def place(source: pathlib.Path, disk: pathlib.Path, start: int) -> None:
    """Copies a partition into the disk, without its zeros."""
    with open(source, "rb") as reader, open(disk, "r+b") as writer:
        writer.seek(start * _MEGABYTE)
        while block := reader.read(1 << 16):
            if block.count(0) == len(block):
                writer.seek(len(block), os.SEEK_CUR)
            else:
                writer.write(block)
