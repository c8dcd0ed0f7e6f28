"""A small initramfs: busybox, the modules, and one script that mounts the root of the slot."""

import pathlib
import stat

from tree import Tree


class Archive:
    """The kernel's cpio format, "newc"."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._count = 0
        self._seen: set[str] = set()

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._count += 1
        fields = (self._count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        self._data += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
        self._pad()
        self._data += content
        self._pad()

    def _pad(self) -> None:
        self._data += bytes(-len(self._data) % 4)

    def directory(self, name: str) -> None:
        parent = str(pathlib.PurePosixPath(name).parent)
        if parent != ".":
            self.directory(parent)
        if name not in self._seen:
            self._seen.add(name)
            self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.directory(str(pathlib.PurePosixPath(name).parent)) if "/" in name else None
        self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self) -> bytes:
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self._data)


def build(tree: Tree, modules: list[str], script: bytes) -> bytes:
    archive = Archive()
    for name in ("proc", "sys", "dev", "root", "bin", "usr/lib"):
        archive.directory(name)
    archive.link("lib", "usr/lib")
    archive.file("bin/busybox", tree.read("usr/bin/busybox"), 0o755)
    archive.link("bin/sh", "busybox")
    archive.file("init", script, 0o755)
    for name in modules:
        archive.file(name, tree.read(name))
    return archive.finish()
