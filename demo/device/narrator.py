"""Prints what happens, in the manner of `make demo`."""

import re
import sys


class Narrator:
    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._bar_is_open = False
        self._quarter = -1

    def narrate(self, text: str) -> None:
        self._show(f"\n{text}")

    def line(self, who: str, text: str) -> None:
        self._show(f"  {who:<8} {text}")

    def status(self, text: str) -> None:
        match = re.match(r"(?:Downloading|Installing) .*[:,] (\d+) %", text)
        if match is None:
            self._quarter = -1
            self.line("status", text)
            return
        percent = int(match[1])
        filled = percent * 30 // 100
        bar = "█" * filled + "░" * (30 - filled)
        if self._is_terminal:
            self._bar_is_open = True
            sys.stdout.write(f"\r  status   {bar} {text}\x1b[K")
            sys.stdout.flush()
        elif self._quarter != percent // 25:
            self._quarter = percent // 25
            self.line("status", f"{bar} {text}")

    def _show(self, text: str) -> None:
        if self._bar_is_open:
            sys.stdout.write("\n")
            self._bar_is_open = False
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
