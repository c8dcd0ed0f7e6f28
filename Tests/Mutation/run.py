"""Runs tests against one mutant."""

import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass

# Tests that boot containers use the package, which has no mutants, and those of the architecture read the sources.
NOT_RUN = r"^(SystemTests|ArchitectureTests)\."
# Seconds. What hangs with a mutant is noticed by its time limit.
SUITES_LIMIT, ALL_LIMIT = 400, 2400
# The name of the test, with its arguments.
_FAILURE = re.compile(r"Test (?:case passing .*? to )?(.*) recorded an issue")
_BUNDLE = "upgradelinkdPackageTests.xctest"


@dataclass(frozen=True)
class Outcome:
    passed: bool
    tests: int
    why: str
    """The first test that failed, or what else happened."""
    seconds: float


class Worker:
    """Programs of its own, by hard links: the file next to them chooses their mutant. /tmp is a directory of its own, too."""

    def __init__(self, tree: pathlib.Path, number: int) -> None:
        self._programs = tree / ".build" / f"worker-{number}"
        self._temporary = tree / ".build" / f"worker-{number}.tmp"
        shutil.rmtree(self._programs, ignore_errors=True)
        self._programs.mkdir(parents=True)
        for path in (tree / ".build/debug").iterdir():
            if path.is_file() and (os.access(path, os.X_OK) or path.suffix == ".so"):
                os.link(path.resolve(), self._programs / path.name)

    def run(self, mutant: int, suites: str, limit: float) -> Outcome:
        (self._programs / "mutant").write_text(f"{mutant}\n")
        _remove(self._temporary)
        self._temporary.mkdir(mode=0o1777)
        self._temporary.chmod(0o1777)
        command = [
            # Every process of the test ends with it, and with this program; the shell waits for those whose parents have ended.
            "setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c",
            'mount --bind "$1" /tmp && cd / && shift && setsid --wait "$@"; exit $?', "sh", str(self._temporary),
            str(self._programs / _BUNDLE), "--testing-library", "swift-testing", "--skip", NOT_RUN, "--filter", suites,
        ]
        environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no"}
        environment.setdefault("SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH", "6")
        begin = time.monotonic()
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True) as process:
            timer = threading.Timer(limit, process.kill)
            timer.start()
            try:
                lines = _until_a_failure(process)
            finally:
                timer.cancel()
                process.kill()
        seconds = time.monotonic() - begin
        (self._programs / "log").write_text("".join(lines))
        return _outcome(process.returncode, "".join(lines), seconds, limit)


def _remove(directory: pathlib.Path) -> None:
    """Removes a directory in which processes of an earlier run may write until they have ended."""
    for _ in range(200):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)


def _until_a_failure(process: subprocess.Popen[bytes]) -> list[str]:
    """Reads the output until its end or the first failure, which is enough."""
    lines = []
    for line in process.stdout or []:
        lines.append(re.sub(r"\x1b\[[0-9;]*m", "", line.decode(errors="replace")))
        if _FAILURE.search(lines[-1]):
            return lines
    process.wait()
    return lines


def _outcome(status: int, text: str, seconds: float, limit: float) -> Outcome:
    summary = re.findall(r"Test run with (\d+) tests? .*?(passed|failed)", text)
    tests = int(summary[-1][0]) if summary else 0
    if failed := _FAILURE.search(text):
        why = failed[1].strip()
    elif seconds >= limit:
        why = f"not finished after {limit:.0f} s"
    else:
        fatal = re.search(r"Fatal error.*|error: Exited with .*", text)
        why = fatal[0] if fatal else f"status {status}"
    passed = status == 0 and tests > 0 and summary[-1][1] == "passed" and not failed
    return Outcome(passed, tests, why, seconds)
