"""The table of mutants: one-line mistakes that the tests must notice. Tests/Mutants has a file for each target."""

import pathlib
import tomllib
from dataclasses import dataclass

EXPRESSION, STATEMENT, TEXT = "expression", "statement", "text"
_KEYS = {"file", "original", "changed", "suites", "after", "kind", "equivalent"}


class TableError(Exception):
    """An entry that cannot be used."""


@dataclass(frozen=True)
class Mutant:
    number: int
    """Begins with 1; 0 is the code without a mistake."""
    file: str
    original: str
    changed: str
    suites: str
    """A regular expression of the test suites that should notice."""
    start: int
    """The place of `original` in the file, in characters."""
    line: int
    kind: str
    equivalent: str
    """The reason if no behaviour changes, else empty."""

    @property
    def name(self) -> str:
        return f"{self.file.removeprefix('Sources/')}:{self.line}"

    def __str__(self) -> str:
        def short(text: str) -> str:
            words = " ".join(text.split())
            return words if len(words) <= 70 else words[:69] + "…"

        return f"{self.name}  {short(self.original)}  →  {short(self.changed) or 'nothing'}"


def load(root: pathlib.Path, directory: pathlib.Path) -> list[Mutant]:
    """Reads the files of a table about the sources in root.

    Throws TableError with every entry that is wrong: an original that is not in its file, or not only once, for example.
    """
    mutants: list[Mutant] = []
    problems: list[str] = []
    for path in sorted(directory.glob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text())["mutant"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        for index, entry in enumerate(entries, 1):
            try:
                mutants.append(_mutant(root, entry, len(mutants) + 1))
            except TableError as error:
                problems.append(f"{path.name}, entry {index}: {error}")
    problems += _overlaps(mutants)
    if problems:
        raise TableError("\n".join(problems))
    return mutants


def _mutant(root: pathlib.Path, entry: dict[str, str], number: int) -> Mutant:
    if unknown := entry.keys() - _KEYS:
        raise TableError(f"unknown keys: {', '.join(sorted(unknown))}")
    if missing := {"file", "original", "changed", "suites"} - entry.keys():
        raise TableError(f"missing keys: {', '.join(sorted(missing))}")
    kind = entry.get("kind", EXPRESSION)
    if kind not in (EXPRESSION, STATEMENT, TEXT):
        raise TableError(f"unknown kind: {kind}")
    file, original, changed = entry["file"], entry["original"].strip("\n"), entry["changed"].strip("\n")
    if kind != TEXT and not file.endswith(".swift"):
        raise TableError(f"{file} is not Swift: kind = \"text\"")
    if original == changed or not original or kind == EXPRESSION and not changed:
        raise TableError("original and changed must differ, and an expression needs both")
    try:
        text = (root / file).read_text()
    except OSError as error:
        raise TableError(f"{file}: {error.strerror}") from error
    start = _place(text, file, original, entry.get("after", ""))
    line = text.count("\n", 0, start) + 1
    return Mutant(number, file, original, changed, entry["suites"], start, line, kind, entry.get("equivalent", ""))


def _place(text: str, file: str, original: str, after: str) -> int:
    if not after:
        if (count := text.count(original)) != 1:
            raise TableError(f"{file} contains {original!r} {count} times: correct it, or set \"after\"")
        return text.index(original)
    if (count := text.count(after)) != 1:
        raise TableError(f"{file} contains {after!r} {count} times")
    if (start := text.find(original, text.index(after) + len(after))) < 0:
        raise TableError(f"{file} does not contain {original!r} after {after!r}")
    return start


def _overlaps(mutants: list[Mutant]) -> list[str]:
    """Mutants of the same text are chosen one by one; others must not overlap."""
    problems = []
    places = sorted({(m.file, m.start, m.start + len(m.original), m.kind) for m in mutants if m.kind != TEXT})
    for (file, start, end, kind), (other, next_start, next_end, next_kind) in zip(places, places[1:]):
        if file == other and next_start < end:
            same = (start, end) == (next_start, next_end)
            if not same or kind != next_kind:
                problems.append(f"{file}: two entries overlap at character {next_start}")
    seen: set[tuple[str, int, str]] = set()
    for mutant in mutants:
        key = (mutant.file, mutant.start, mutant.changed)
        if key in seen:
            problems.append(f"{mutant}: is there twice")
        seen.add(key)
    return problems
