"""Puts the cross-built unit tests onto the disk /tests, if packaging/cross/tests.sh has built them."""

import os
import shutil
import tarfile

# What the tests read in the checkout, whose path was compiled into them.
_SOURCES = ["Tests", "packaging", "docs", "config", "Sources", "Makefile", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Package.swift"]


def gather(built: str, top: str, directory: str) -> bool:
    """Whether the tests are there. They are copied to a new directory."""
    if not os.path.exists(f"{built}/checkout"):
        return False
    for name in ["programs", "lib"]:
        shutil.copytree(f"{built}/{name}", f"{directory}/{name}")
    with open(f"{built}/checkout", encoding="utf-8") as file:
        checkout = file.read().strip().lstrip("/")
    with tarfile.open(f"{directory}/checkout.tar", "w") as archive:
        for name in _SOURCES:
            if os.path.exists(f"{top}/{name}"):
                archive.add(f"{top}/{name}", f"{checkout}/{name}")
    return True
