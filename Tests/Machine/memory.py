"""Compares the memory of the agent at rest on two architectures, both measured on the emulated machine."""

import json
import os
import subprocess
from collections.abc import Callable

from architecture import Architecture
from packages import MissingPackage

_REFERENCE = "amd64"
_TARGET = 0.2


def remember(cache: str, architecture: Architecture, figures: dict[str, int], package: str) -> None:
    """Keeps the figures for the comparison with another architecture."""
    path = f"{cache}/figures-{architecture.name}.json"
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({"package": _identity(package), "figures": figures}, file)
    os.rename(f"{path}.new", path)


def recall(cache: str, architecture: Architecture, package: str) -> dict[str, int] | None:
    """The figures of this package, if it has been measured."""
    try:
        with open(f"{cache}/figures-{architecture.name}.json", encoding="utf-8") as file:
            stored = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return stored["figures"] if stored["package"] == _identity(package) else None


def _identity(package: str) -> str:
    status = os.stat(package)
    return f"{os.path.basename(package)} {status.st_size} {status.st_mtime_ns}"


def report(architecture: Architecture, figures: dict[str, int], reference: Callable[[], dict[str, int]]) -> list[str]:
    """Lines that say what was measured. reference measures the other architecture, and raises an error if it cannot."""
    own = figures["privateDirty"]
    lines = [
        f"Installed size on {architecture.name}: {figures['installedSize']:,} kB",
        f"Private memory at rest on {architecture.name}: {own:,} kB (PSS {figures['pss']:,} kB, {figures['threads']} threads)",
    ]
    if architecture.name == _REFERENCE:
        return lines
    try:
        other = reference()["privateDirty"]
    except (MissingPackage, RuntimeError, subprocess.CalledProcessError) as error:
        return [*lines, f"It was not compared with {_REFERENCE}: {error}"]
    ratio = own / other
    met = "met" if abs(ratio - 1) <= _TARGET else "missed"
    return [*lines, f"Private memory at rest on {_REFERENCE}: {other:,} kB; ratio {ratio:.2f}, target within {_TARGET:.0%}: {met}"]
