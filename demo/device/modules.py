"""The kernel's modules: only those that this device needs, unpacked, with an index for modprobe."""

import lzma
import pathlib
import re

import tools
from problem import Problem
from tree import Tree

# What the initramfs and systemd need to mount the file systems, and RAUC to mount a bundle. Some kernels have them built in.
_WANTED = (
    "virtio_pci", "virtio_blk", "squashfs", "ext4", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "loop", "autofs4",
    "dm_mod", "dm_verity",
)
_OPTIONAL = ("crc32c_generic", "sha256_generic")


def _key(name: str) -> str:
    return pathlib.PurePosixPath(name).name.split(".ko")[0].replace("-", "_")


def _unpacked(tree: Tree, path: str) -> bytes:
    content = tree.read(path)
    return lzma.decompress(content) if path.endswith(".xz") else content


def kernel_version(tree: Tree) -> str:
    versions = {name.split("/")[3] for name in tree.names("usr/lib/modules/") if name.count("/") > 3}
    if len(versions) != 1:
        raise Problem(f"the root has {len(versions)} kernels: remove .cache/device and try again")
    return versions.pop()


def reduce(tree: Tree, work: pathlib.Path) -> list[str]:
    """Replaces the modules of a tree with those that are needed, and returns their paths."""
    version = kernel_version(tree)
    base = f"usr/lib/modules/{version}"
    built_in = {_key(line) for line in tree.read(f"{base}/modules.builtin").decode().split()}
    found = {_key(name): name for name in tree.names(f"{base}/kernel/") if ".ko" in name}
    chosen: dict[str, bytes] = {}
    waiting = [*_WANTED, *(name for name in _OPTIONAL if name in found)]
    while waiting:
        key = waiting.pop()
        path = found.get(key)
        if path is None or path in chosen:
            if path is None and key not in built_in:
                raise Problem(f"the kernel {version} has no module {key}")
            continue
        chosen[path] = _unpacked(tree, path)
        match = re.search(rb"\0depends=([^\0]*)\0", chosen[path])
        waiting += [_key(name) for name in match[1].decode().split(",") if name] if match else []

    index = {name: tree.read(name) for name in tree.names(f"{base}/modules.")}
    tree.remove(f"{base}/")
    (work / "lib").symlink_to("usr/lib")
    for path, content in {**index, **chosen}.items():
        target = work / path.removesuffix(".xz")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    tools.run("depmod", "-b", work, version)
    files = sorted(path for path in (work / base).rglob("*") if path.is_file())
    for file in files:
        tree.file(str(file.relative_to(work)), file.read_bytes())
    return [str(file.relative_to(work)) for file in files]
