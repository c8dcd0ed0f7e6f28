"""Finds the packages that the emulated machine installs."""

import glob
import os


class MissingPackage(Exception):
    """There is no package for this architecture."""


def newest(directory: str, name: str, architecture: str, suite: str) -> str:
    """The newest package of this name: one for the suite, else one that names none or an earlier suite."""
    marks = {"trixie": "~deb13u"}
    found = glob.glob(f"{glob.escape(directory)}/{name}_*_{architecture}.deb")
    if not found:
        target = "deb" if architecture == "amd64" else f"deb ARCH={architecture}"
        raise MissingPackage(f"there is no package {name} for {architecture} in {directory}: make {target} builds it")
    return max(found, key=lambda path: (marks[suite] in path, os.path.getmtime(path)))
