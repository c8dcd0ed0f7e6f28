"""What must happen, in this order, and what the viewer reads about it."""

import dataclasses
import re
import time
import typing

from narrator import Narrator
from problem import Problem


@dataclasses.dataclass(frozen=True)
class Step:
    name: str
    """What is missing if it does not happen."""
    pattern: str
    text: str = ""
    """What is told before it."""
    mark: str = ""
    """The name under which its time is kept."""


def _boot(slot: str, attempt: int, text: str = "") -> Step:
    return Step(f"GRUB boots slot {slot}, attempt {attempt}", rf"demo-boot slot {slot} attempt {attempt}$", text)


def _up(version: int, slot: str, text: str = "", mark: str = "") -> Step:
    return Step(f"v{version} runs from slot {slot}", rf"demo-up v{version} slot {slot}$", text, mark)


def _offer(version: int, text: str) -> list[Step]:
    return [
        Step(f"v{version} is published", rf"demo-publish v{version}$", text, f"v{version} published"),
        Step(f"v{version} is downloaded and verified", rf"demo-agent v{version} \(code {version}\) is downloaded and verified"),
        Step(f"v{version} is written to the other slot", rf"demo-status Installing v{version}: ArtifactInstall"),
    ]


_PANIC = Step("the kernel of v3 panics", r"Kernel panic - not syncing")

STEPS = [
    _boot("A", 1, "A device is switched on. Its disk has version 1 in slot A, and nothing in slot B."),
    _up(1, "A", mark="v1 up"),
    Step("the agent is active", r"demo-agent-state active$"),
    *_offer(2, "The publisher releases v2, a complete image with its kernel. It is written to slot B."),
    _boot("B", 1, "The device reboots, through GRUB, into slot B."),
    _up(2, "B"),
    Step("v2 is committed", r"demo-agent Installed v2 \(code 2\)", mark="v2 committed"),
    *_offer(3, "The publisher releases v3, whose init program is damaged: its kernel panics."),
    _boot("A", 1, "GRUB counts the attempts of slot A. No program of ours runs there."),
    _PANIC,
    _boot("A", 2),
    _PANIC,
    _boot("A", 3),
    _PANIC,
    _boot("B", 1, "Slot A has no attempt left: GRUB boots the slot before, and the installer notices."),
    _up(2, "B", mark="v3 left"),
    # The installer reboots after each rollback.
    _boot("B", 1),
    _up(2, "B"),
    *_offer(4, "The publisher releases v4, which boots, but its player does not run."),
    _boot("A", 1),
    _up(4, "A", "Slot A boots. The health check waits for the player, and rolls back."),
    _boot("B", 1),
    _up(2, "B", mark="v4 left"),
    Step("the history has v4 as rolled back", r"demo-history .*rolledBack +v4 "),
    Step("the history has v3 as rolled back", r"demo-history .*rolledBack +v3 "),
    Step("the history has v2 as installed", r"demo-history .*installed +v2 "),
    Step("the end", r"demo-end$", mark="end"),
]


class Story:
    """Follows the console, and checks that each step happens in its turn, within a time limit for each."""

    def __init__(self, narrator: Narrator, step_limit: float) -> None:
        self._narrator = narrator
        self._step_limit = step_limit
        self._last = time.monotonic()
        self._next = 0
        self._environment: dict[str, str] = {}
        self.times: dict[str, float] = {"start": time.monotonic()}
        self.figures: dict[str, str] = {}
        self.boots = 0

    @property
    def is_complete(self) -> bool:
        return self._next == len(STEPS)

    @property
    def missing(self) -> str:
        return "nothing" if self.is_complete else STEPS[self._next].name

    def follow(self, lines: typing.Iterator[str]) -> None:
        for line in lines:
            self._take(line)
            if time.monotonic() - self._last > self._step_limit:
                raise Problem(f"this has not happened within {self._step_limit:.0f} s: {self.missing}")
        if not self.is_complete:
            raise Problem(f"the device is off, and this has not happened: {self.missing}")
        if (self._environment.get("ORDER"), self._environment.get("B_OK"), self._environment.get("B_TRY")) != ("B A", "1", "0"):
            raise Problem(f"slot B is not marked good at the end: {self._environment}")

    def _take(self, line: str) -> None:
        match = re.search(r"demo-[a-z-]+ ?.*|Kernel panic - .*", line)
        if match is None:
            return
        line = match[0]
        step = None if self.is_complete else STEPS[self._next]
        if step is not None and re.match(step.pattern, line):
            self._next += 1
            self._last = time.monotonic()
            if step.mark:
                self.times[step.mark] = time.monotonic()
            if step.text:
                self._narrator.narrate(step.text)
        elif re.match(r"demo-(boot|up) |Kernel panic", line):
            raise Problem(f"{line.removeprefix('demo-')}: expected was: {self.missing}")
        self._show(line)

    def _show(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        if line.startswith("Kernel panic"):
            self._narrator.line("kernel", line)
        elif kind == "demo-boot":
            self.boots += 1
            self._narrator.line("GRUB", rest.replace(" attempt ", ", attempt ") + " of 3")
        elif kind == "demo-up":
            self._narrator.line("device", f"{rest.replace(' slot', ' runs from slot')}")
        # The progress of a module is in the status, too.
        elif kind == "demo-agent" and not re.match(r"\d+ ?% |installing$|idle$", rest):
            self._narrator.line("agent", rest)
        elif kind == "demo-status" and rest:
            self._narrator.status(rest)
        elif kind == "demo-history":
            self._narrator.line("history", rest)
        elif kind == "demo-grubenv":
            key, _, value = rest.partition("=")
            self._environment[key] = value
        elif kind == "demo-figure":
            key, _, value = rest.partition(" ")
            self.figures[key] = value
