"""Lets this machine start programs of another architecture with qemu-user, and undoes it at the end."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator

# The first bytes of an executable or a shared object of 64-bit ARM, and which of their bits count: binfmt_misc's format, in which
# the kernel itself replaces \\xNN.
_AARCH64 = (
    r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff",
)
_INTERPRETER = "/usr/bin/qemu-aarch64-static"


@contextlib.contextmanager
def arm64_programs() -> Iterator[None]:
    """Registers qemu-user for arm64. The flag F opens the interpreter now, so a changed root directory needs no copy of it."""
    name = f"upgradelinkd-{os.getpid()}"
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", directory], check=True)
        try:
            _write(f"{directory}/register", f":{name}:M::{_AARCH64[0]}:{_AARCH64[1]}:{_INTERPRETER}:F")
            try:
                yield
            finally:
                _write(f"{directory}/{name}", "-1")
        finally:
            subprocess.run(["umount", directory], check=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
