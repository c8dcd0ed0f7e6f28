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

import images
import packages
import root
from architecture import ARCHITECTURES
from guest import Guest, GuestFailure
from results import Results
from scenarios import Scenarios

_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_CACHE = f"{_TOP}/.cache/machine"
_FILES = os.path.dirname(os.path.abspath(__file__))
_PARTS = ["install", "memory", "demo", "silent", "reboot", "rollback", "fallback", "power"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture", choices=sorted(ARCHITECTURES))
    parser.add_argument("--only", action="append", choices=_PARTS, help="run these parts only")
    parser.add_argument("--time-limit", type=float, default=1500, help="seconds for all scenarios")
    arguments = parser.parse_args()
    architecture = ARCHITECTURES[arguments.architecture]
    # An interrupted run also ends qemu and removes its directory.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    directory = f"{_CACHE}/run-{architecture.name}-{os.getpid()}"
    try:
        found = [
            packages.newest(f"{_TOP}/.cache/deb", name, architecture.name, root.SUITE)
            for name in ["upgradelinkd", "upgradelink-sim"]
        ]
        files = root.prepare(architecture, _CACHE, f"{_FILES}/boot")
        os.makedirs(directory)
        tests = _gather_tests(directory, found)
        start = time.monotonic()
        results = Results()
        guest = Guest(architecture, files, directory, tests, start + arguments.time_limit)
        guest.write_slot(0, f"{tests}/images/v10")
        try:
            Scenarios(guest, results, architecture.hardware).run(arguments.only or _PARTS)
        except GuestFailure as failure:
            results.take(f"not ok {failure}")
            print(f"The end of the console:\n{guest.log_tail()}", flush=True)
        finally:
            guest.cut_power()
    except (packages.MissingPackage, PermissionError, subprocess.CalledProcessError) as error:
        print(f"machine.py: {error}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    _report(results, architecture.name, architecture.accelerator, time.monotonic() - start)
    return 1 if results.failed else 0


def _gather_tests(directory: str, found: list[str]) -> str:
    """The content of the disk /tests."""
    tests = f"{directory}/tests.tree"
    shutil.copytree(f"{_FILES}/guest", tests)
    os.makedirs(f"{tests}/packages")
    for path in found:
        shutil.copy(path, f"{tests}/packages/{os.path.basename(path).split('_')[0]}.deb")
    os.makedirs(f"{tests}/images")
    for version in [10, 11, 14]:
        images.make(f"{tests}/images/v{version}", version)
    images.make(f"{tests}/images/v12", 12, healthy=False)
    images.make_broken(f"{tests}/images/v13")
    return tests


def _report(results: Results, name: str, accelerator: str, seconds: float) -> None:
    for key, value in results.figures.items():
        print(f"{key}: {value}")
    for failure in results.failed:
        print(f"failed: {failure}")
    print(f"{results.passed} of {results.total} checks passed on {name} ({accelerator}) in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
