"""Makes the initrd of the emulated machine: busybox, the drivers of the disks, and the script that is its bootloader."""

import lzma
import os
import subprocess
from collections.abc import Iterable

_MODULES = ["virtio_blk", "autofs4", "virtio_rng"]


def make(path: str, kernel_root: str, busybox: str, script: str) -> None:
    """Writes an initrd for the kernel that is unpacked below kernel_root."""
    entries: list[tuple[str, int, bytes]] = [
        (directory, 0o040755, b"") for directory in ["bin", "dev", "proc", "sys", "run", "root", "modules"]
    ]
    entries.append(("bin/busybox", 0o100755, _read(busybox)))
    entries.append(("init", 0o100755, _read(script)))
    order = []
    for module in _modules_in_order(kernel_root):
        name = os.path.basename(module).removesuffix(".xz")
        content = _read(module)
        entries.append((f"modules/{name}", 0o100644, lzma.decompress(content) if module.endswith(".xz") else content))
        order.append(name)
    entries.append(("modules/order", 0o100644, "".join(f"{name}\n" for name in order).encode()))
    with open(path, "wb") as file:
        file.write(_archive(entries))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _modules_in_order(kernel_root: str) -> list[str]:
    """The files of the modules, each after those that it depends on. Modules that are part of the kernel have no file."""
    parent = f"{kernel_root}/usr/lib/modules"
    version = os.listdir(parent)[0]
    # Debian's package has no list of the dependencies: its installation makes it. depmod reads below lib.
    if not os.path.lexists(f"{kernel_root}/lib"):
        os.symlink("usr/lib", f"{kernel_root}/lib")
    subprocess.run(["depmod", "-b", kernel_root, version], check=True)
    needs: dict[str, list[str]] = {}
    with open(f"{parent}/{version}/modules.dep", encoding="utf-8") as file:
        for line in file:
            module, _, rest = line.partition(":")
            needs[module] = rest.split()
    # modules.dep lists all dependencies of a module, the innermost last.
    found: list[str] = []
    for wanted in _MODULES:
        for module, dependencies in needs.items():
            if os.path.basename(module).split(".")[0].replace("-", "_") == wanted:
                found += [name for name in [*reversed(dependencies), module] if name not in found]
    return [f"{parent}/{version}/{name}" for name in found]


def _archive(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """A cpio archive of the format that the kernel unpacks ("newc")."""
    parts = []
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        parts += [header, bytes(-len(header) % 4), content, bytes(-len(content) % 4)]
    return b"".join(parts)
