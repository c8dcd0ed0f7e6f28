"""Boots an emulated machine with Debian 13, installs the packages, and runs updates with reboots and power cuts.

Usage: machine.py ARCHITECTURE [--only PART]... [--time-limit SECONDS]
The last line is the number of checks that passed. Exit status: 0 all of them, 1 not all, 2 the machine could not be made.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from types import FrameType

import content
import memory
import packages
import root
import unit_tests
from architecture import ARCHITECTURES, Architecture
from guest import Guest, GuestFailure
from results import Results, note
from scenarios import PARTS, Scenarios

_FILES = os.path.dirname(os.path.abspath(__file__))
_TOP = os.path.dirname(os.path.dirname(_FILES))
_CACHE = f"{_TOP}/.cache/machine"


class Interrupted(Exception):
    """A signal ends the run."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("architecture", choices=sorted(ARCHITECTURES))
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--time-limit", type=float, default=1500, metavar="SECONDS", help="of all scenarios")
    arguments = parser.parse_args()
    architecture = ARCHITECTURES[arguments.architecture]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _interrupt)
    results = Results()
    start = time.monotonic()
    is_complete = False
    lines = []
    try:
        _run(architecture, arguments.only or PARTS, results, arguments.time_limit)
        seconds = time.monotonic() - start
        if results.figures:
            lines = memory.report(architecture, results.figures, _reference_figures)
        is_complete = True
    except Interrupted:
        seconds = time.monotonic() - start
        print("A signal ended the run.")
    except (packages.MissingPackage, PermissionError, subprocess.CalledProcessError) as error:
        print(f"machine.py: {error}", file=sys.stderr)
        return 2
    for line in [*lines, *(f"failed: {failure}" for failure in results.failed)]:
        print(line)
    name = f"{architecture.name} ({architecture.accelerator})"
    print(f"{results.passed} of {results.total} checks passed on {name} in {seconds:.0f} s", flush=True)
    return 0 if is_complete and not results.failed else 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The clean-up must not be interrupted again.
    signal.signal(number, signal.SIG_IGN)
    raise Interrupted


def _run(architecture: Architecture, parts: list[str], results: Results, time_limit: float) -> None:
    """Makes what is missing, and runs the parts on a new machine. Nothing of it is left behind but the cache."""
    found = _packages(architecture)
    files = root.prepare(architecture, _CACHE, f"{_FILES}/boot")
    directory = f"{_CACHE}/run-{architecture.name}-{os.getpid()}"
    os.makedirs(directory)
    try:
        tests = f"{directory}/tests.tree"
        content.gather(tests, f"{_FILES}/guest", found)
        built = f".cache/cross/tests-{architecture.name}"
        has_unit_tests = "unit" in parts and unit_tests.gather(f"{_TOP}/{built}", _TOP, f"{tests}/unit")
        guest = Guest(architecture, files, directory, tests, time.monotonic() + time_limit)
        guest.write_slot(0, f"{tests}/images/v10")
        try:
            Scenarios(guest, results, architecture.hardware, built, has_unit_tests).run(parts)
        except GuestFailure as failure:
            results.take(f"not ok {failure}")
            print(f"The end of the console:\n{guest.log_tail()}", flush=True)
        finally:
            guest.cut_power()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if results.figures and not results.failed:
        memory.remember(_CACHE, architecture, results.figures, found[0])


def _packages(architecture: Architecture) -> list[str]:
    directory = f"{_TOP}/.cache/deb"
    return [packages.newest(directory, name, architecture.name) for name in ["upgradelinkd", "upgradelink-sim"]]


def _reference_figures() -> dict[str, int]:
    """The figures of amd64, which are measured if they are not known."""
    reference = ARCHITECTURES["amd64"]
    known = memory.recall(_CACHE, reference, _packages(reference)[0])
    if known is not None:
        return known
    note("the same figures on amd64, for a comparison")
    results = Results()
    _run(reference, ["install", "memory"], results, 600)
    if results.failed:
        raise RuntimeError(results.failed[0])
    return results.figures


if __name__ == "__main__":
    sys.exit(main())
