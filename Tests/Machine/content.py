"""Gathers the content of the disk that the machine mounts as /tests: scripts, packages and images of slots."""

import os
import shutil

import images


def gather(directory: str, guest_files: str, packages: list[str]) -> None:
    """Fills a new directory."""
    shutil.copytree(guest_files, directory)
    os.makedirs(f"{directory}/packages")
    for path in packages:
        name = os.path.basename(path).split("_")[0]
        shutil.copy(path, f"{directory}/packages/{name}.deb")
    os.makedirs(f"{directory}/images")
    for version in [10, 11, 14]:
        images.make(f"{directory}/images/v{version}", version)
    images.make(f"{directory}/images/v12", 12, healthy=False)
    images.make_broken(f"{directory}/images/v13")
