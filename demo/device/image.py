"""Images of versions."""

import pathlib
import shutil
import subprocess

import root
import tools
from tree import Tree

# By default, every user could write to the root directory.
_ROOT = ("-root-mode", "755", "-root-uid", "0", "-root-gid", "0")


def write_base(tree: Tree, path: pathlib.Path) -> None:
    """What all versions share. GRUB reads the kernel from it, so it is compressed with gzip."""
    command = [tools.find("sqfstar"), "-quiet", "-no-progress", "-comp", "gzip", *_ROOT, "-exit-on-error", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            tree.write(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass
        output = process.stdout.read().decode(errors="replace")
    if process.returncode != 0:
        raise tools.failure("sqfstar", output, process.returncode)


def write_version(base: pathlib.Path, version: root.Version, path: pathlib.Path) -> None:
    """Appends the directory /device, so that the rest is compressed only once."""
    shutil.copyfile(base, path)
    files = path.with_suffix("") / "device"
    version.write(files)
    tools.run("mksquashfs", files, path, "-keep-as-directory", "-all-root", *_ROOT, "-quiet", "-no-progress", "-no-recovery")
