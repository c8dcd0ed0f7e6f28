"""Collects and prints what the scenarios report."""

import re
import sys
from dataclasses import dataclass, field


@dataclass
class Results:
    """The checks so far, and the figures that were measured."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Takes one line of a scenario's output."""
        if match := re.fullmatch(r"figure (\w+) (\d+)", line):
            self.figures[match[1]] = int(match[2])
        elif line.startswith("ok "):
            self.passed += 1
            _say(line)
        elif line.startswith("not ok "):
            self.failed.append(line.removeprefix("not ok "))
            _say(line)
        elif line:
            _say(f"    {line.removeprefix('    ')}")

    @property
    def total(self) -> int:
        return self.passed + len(self.failed)


def _say(line: str) -> None:
    print(line, flush=True)


def note(text: str) -> None:
    """Says what happens, which is no result."""
    print(f"== {text}", file=sys.stdout, flush=True)
