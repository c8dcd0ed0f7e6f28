"""Finds the packages that the emulated machine installs."""

import glob
import os


class MissingPackage(Exception):
    """There is no package for this architecture."""


def newest(directory: str, name: str, architecture: str) -> str:
    """The package of this name that was built last: Debian 13 installs those for Debian 12, too."""
    found = glob.glob(f"{glob.escape(directory)}/{name}_*_{architecture}.deb")
    if not found:
        target = "deb" if architecture == "amd64" else f"deb ARCH={architecture}"
        raise MissingPackage(f"there is no package {name} for {architecture} in {directory}: make {target} builds it")
    return max(found, key=os.path.getmtime)
