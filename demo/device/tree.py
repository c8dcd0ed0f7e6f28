"""The files of a root file system, merged from archives. Nothing is unpacked, so owners and modes need no rights."""

import copy
import dataclasses
import io
import pathlib
import tarfile
import typing

_MERGED = ("bin", "sbin", "lib", "lib64")


@dataclasses.dataclass
class Entry:
    info: tarfile.TarInfo
    archive: tarfile.TarFile | None = None
    content: bytes = b""

    def read(self) -> bytes:
        if self.archive is None:
            return self.content
        stream = self.archive.extractfile(self.info)
        return stream.read() if stream else b""


def _name(path: str) -> str:
    """The path in the tree: Debian has /bin, /lib and others as links to those in /usr."""
    path = path.removeprefix("./").strip("/")
    return f"usr/{path}" if path.split("/")[0] in _MERGED and "/" in path else path


class Tree:
    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def copy(self) -> "Tree":
        other = Tree()
        other.entries = dict(self.entries)
        return other

    def add(self, archive: tarfile.TarFile, keep: typing.Callable[[str], bool] = lambda name: True) -> None:
        """Takes the files of an archive, which stays open."""
        for member in archive:
            name = _name(member.name)
            if name in ("", ".") or not keep(name):
                continue
            if member.isdir() and name in self.entries:
                continue
            if member.islnk():
                # The archive's other name of the file may be left out.
                original = archive.getmember(member.linkname)
                member = copy.copy(original)
            self.entries[name] = Entry(member, archive)

    def file(self, path: str, content: bytes | str, mode: int = 0o644, group: int = 0) -> None:
        data = content.encode() if isinstance(content, str) else content
        info = tarfile.TarInfo(path)
        info.size, info.mode, info.gid = len(data), mode, group
        self._parents(path)
        self.entries[path] = Entry(info, content=data)

    def directory(self, path: str, mode: int = 0o755) -> None:
        if path in self.entries:
            return
        self._parents(path)
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self.entries[path] = Entry(info)

    def link(self, path: str, target: str) -> None:
        self._parents(path)
        info = tarfile.TarInfo(path)
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
        self.entries[path] = Entry(info)

    def _parents(self, path: str) -> None:
        parent = str(pathlib.PurePosixPath(path).parent)
        if parent != ".":
            self.directory(parent)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.entries if name.startswith(prefix))

    def read(self, path: str) -> bytes:
        return self.entries[path].read()

    def remove(self, prefix: str) -> None:
        for name in self.names(prefix):
            del self.entries[name]

    def write(self, stream: typing.IO[bytes]) -> None:
        """Writes an archive: the same files give the same bytes."""
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(self.entries):
                entry = self.entries[name]
                info = copy.copy(entry.info)
                info.name, info.mtime = name, 0
                info.uname = info.gname = ""
                info.pax_headers = {}
                archive.addfile(info, io.BytesIO(entry.read()) if info.isreg() else None)
