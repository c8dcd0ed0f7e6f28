"""A copy of the project in which every mutant is compiled in behind a switch, so that one build serves all."""

import os
import pathlib
import shutil
import subprocess
from collections import defaultdict

from table import EXPRESSION, TEXT, Mutant

# Each process reads the number of its mutant once, from a file next to its program: also one that is started with another
# environment or as another user. Without the file, nothing is changed.
_SWITCH = """\
import Glibc

nonisolated private let chosen: Int = {
    var bytes = [UInt8](repeating: 0, count: 4096)
    let length = bytes.withUnsafeMutableBytes { readlink("/proc/self/exe", $0.baseAddress!, 4095) }
    guard length > 0 else { return 0 }
    let program = String(decoding: bytes[..<length], as: UTF8.self)
    guard let slash = program.lastIndex(of: "/") else { return 0 }
    let file = open(String(program[..<slash]) + "/mutant", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return 0 }
    defer { close(file) }
    let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress!, 16) }
    return count > 0 ? Int(String(decoding: bytes[..<count], as: UTF8.self).filter { $0.isNumber }) ?? 0 : 0
}()

nonisolated func mutant(_ number: Int) -> Bool { chosen == number }
"""


def with_mutants(text: str, mutants: list[Mutant]) -> str:
    """The text of a file with all of its mutants."""
    places: dict[int, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        places[mutant.start].append(mutant)
    for start, here in sorted(places.items(), reverse=True):
        original = here[0].original
        if here[0].kind == EXPRESSION:
            choices = "".join(f"mutant({m.number}) ? ({m.changed}) : " for m in here)
            replacement = f"({choices}({original}))"
        else:
            choices = "".join(f"if mutant({m.number}) {{\n{m.changed}\n}} else " for m in here)
            replacement = f"{choices}{{\n{original}\n}}"
        text = text[:start] + replacement + text[start + len(original) :]
    return text


def make(root: pathlib.Path, tree: pathlib.Path, mutants: list[Mutant]) -> None:
    """Makes the copy, or updates it: what has not changed is not written, so that it is not compiled again."""
    changed: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        if mutant.kind != TEXT:
            changed[mutant.file].append(mutant)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, stdout=subprocess.PIPE).stdout.decode()
    names = {name for name in listed.split("\0") if name and (root / name).is_file()}
    if (root / "Package.resolved").exists():
        names.add("Package.resolved")
    for name in sorted(names):
        source, target = root / name, tree / name
        if name in changed:
            _write(target, with_mutants(source.read_text(), changed[name]).encode(), source)
        elif name == "Package.swift":
            # A choice between two constants is a warning, and the switch calls the C library.
            text = source.read_text().replace(".treatAllWarnings(as: .error),", "").replace(" + [.strictMemorySafety()]", "")
            _write(target, text.encode(), source)
        else:
            _write(target, source.read_bytes(), source)
    targets = {"/".join(name.split("/")[:2]) for name in changed}
    switches = {f"{target}/MutantSwitch.swift" for target in targets}
    for name in switches:
        _write(tree / name, _SWITCH.encode(), None)
    _remove_others(tree, names | switches)
    # Programs of others that some tests need.
    if not (tree / ".cache").exists():
        (tree / ".cache").symlink_to(root / ".cache")


def _write(target: pathlib.Path, content: bytes, source: pathlib.Path | None) -> None:
    if source is not None and source.is_symlink():
        if not target.is_symlink() or os.readlink(target) != os.readlink(source):
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(source))
        return
    if not target.exists() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    if source is not None:
        shutil.copymode(source, target)


def _remove_others(tree: pathlib.Path, names: set[str]) -> None:
    for directory in ("Sources", "Tests", "packaging"):
        for path in (tree / directory).rglob("*"):
            if not path.is_dir() and str(path.relative_to(tree)) not in names:
                path.unlink()
