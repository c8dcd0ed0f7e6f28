"""Makes file systems from directories, and the images of slots: small ones with the version of the product."""

import os
import subprocess
import tempfile

# Large enough for a download that can be interrupted.
_SIZE = 4 << 20


def file_system(path: str, tree: str, size: int, *options: str) -> None:
    """An ext4 file system of this size in bytes, with the content of a directory."""
    # Else mke2fs says that it creates the file.
    with open(path, "wb"):
        pass
    command = ["mke2fs", "-q", "-t", "ext4", *options, "-d", tree, path, f"{size >> 10}k"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make(path: str, version: int, healthy: bool = True) -> None:
    """An image whose version file names this version."""
    with tempfile.TemporaryDirectory() as tree:
        _write(f"{tree}/version", f"VERSION=v{version}\nVERSION_CODE={version}\n".encode())
        # A temporary directory is private, and the agent's user reads the version file.
        os.chmod(tree, 0o755)
        if healthy:
            _write(f"{tree}/healthy", b"")
        _write(f"{tree}/content", os.urandom(_SIZE // 2))
        file_system(path, tree, _SIZE, "-O", "^has_journal", "-E", "root_owner=0:0")


def make_broken(path: str) -> None:
    """An image that the bootloader cannot mount."""
    _write(path, os.urandom(_SIZE))


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
