#!/usr/bin/python3
"""Plants the mistakes of Tests/Mutants in a copy of the project, one at a time, and says which of them the tests notice."""

import argparse
import concurrent.futures
import os
import pathlib
import queue
import re
import subprocess
import sys
import time

import table
import tree
from run import ALL_LIMIT, SUITES_LIMIT, Outcome, Worker
from table import TEXT, Mutant, TableError

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def _say(text: str) -> None:
    print(text, flush=True)


class Score:
    def __init__(self, copy: pathlib.Path, mutants: list[Mutant], jobs: int, everything: bool) -> None:
        self._copy = copy
        self._mutants = mutants
        self._everything = everything
        self._workers: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._jobs = jobs
        for number in range(jobs):
            self._workers.put(Worker(copy, number))
        self.killed: list[Mutant] = []
        self.survived: list[Mutant] = []

    def check_suites(self) -> bool:
        """Without a mutant, the suites must pass, and each entry must name some."""
        suites = sorted({mutant.suites for mutant in self._mutants})
        outcome = self._on_a_worker(0, "|".join(suites), ALL_LIMIT)
        _say(f"without a mutant: {outcome.tests} tests in {outcome.seconds:.0f} s")
        if not outcome.passed:
            _say(f"the suites must pass without a mutant: {outcome.why}")
        return outcome.passed

    def run(self) -> None:
        compiled = [mutant for mutant in self._mutants if mutant.kind != TEXT]
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            runs = {pool.submit(self._on_a_worker, m.number, m.suites, SUITES_LIMIT): m for m in compiled}
            try:
                for run in concurrent.futures.as_completed(runs):
                    self._take(runs[run], run.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for mutant in self._mutants:
            if mutant.kind == TEXT:
                self._take(mutant, self._with_text(mutant, lambda m=mutant: self._on_a_worker(m.number, m.suites, SUITES_LIMIT)))
        if self._everything:
            self._try_all()

    def _try_all(self) -> None:
        """What the named suites did not notice is tried with all."""
        remaining, self.survived = self.survived, []
        for mutant in remaining:
            _say(f"all suites: {mutant}")
            self._take(mutant, self._with_text(mutant, lambda m=mutant: self._on_a_worker(m.number, ".", ALL_LIMIT)))

    def _on_a_worker(self, mutant: int, suites: str, limit: float) -> Outcome:
        worker = self._workers.get()
        try:
            return worker.run(mutant, suites, limit)
        finally:
            self._workers.put(worker)

    def _with_text(self, mutant: Mutant, action) -> Outcome:
        """Runs with a changed file that is not compiled."""
        if mutant.kind != TEXT:
            return action()
        path = self._copy / mutant.file
        text = path.read_text()
        try:
            path.write_text(text[: mutant.start] + mutant.changed + text[mutant.start + len(mutant.original) :])
            return action()
        finally:
            path.write_text(text)

    def _take(self, mutant: Mutant, outcome: Outcome) -> None:
        if outcome.passed:
            self.survived.append(mutant)
            _say(f"SURVIVED {outcome.seconds:5.1f} s  {mutant}  ({outcome.tests} tests)")
        elif outcome.tests == 0 and outcome.why.startswith("status 0"):
            self.survived.append(mutant)
            _say(f"NO TESTS {outcome.seconds:5.1f} s  {mutant}  (no suite is named {mutant.suites})")
        else:
            self.killed.append(mutant)
            _say(f"killed   {outcome.seconds:5.1f} s  {mutant}  ({outcome.why})")


def _summarize(score: Score, equivalent: list[Mutant], begin: float) -> None:
    for mutant in equivalent:
        _say(f"equivalent: {mutant}: {mutant.equivalent}")
    for mutant in score.survived:
        _say(f"survived: {mutant}")
    killed, survived = len(score.killed), len(score.survived)
    percent = 100 * killed / max(killed + survived, 1)
    _say(
        f"{killed + survived + len(equivalent)} mutants: {killed} killed, {survived} survived, {len(equivalent)} equivalent; "
        f"score {percent:.1f} % in {(time.monotonic() - begin) / 60:.0f} min")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="check the table only")
    parser.add_argument(
        "--table", type=pathlib.Path, default=_ROOT / "Tests/Mutants", metavar="DIRECTORY", help="another table than Tests/Mutants")
    parser.add_argument("--only", metavar="REGEX", default="", help="only mutants whose FILE:LINE matches")
    parser.add_argument("--each", type=int, default=1, metavar="N", help="only each Nth of these")
    parser.add_argument("--named-suites-only", action="store_true", help="do not try survivors with all suites")
    parser.add_argument("--unchecked", action="store_true", help="do not run the suites without a mutant first")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="runs at the same time (%(default)s)")
    options = parser.parse_args()
    begin = time.monotonic()
    try:
        mutants = table.load(_ROOT, options.table)
    except TableError as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 1
    if not mutants:
        print(f"mutate: no *.toml in {options.table}", file=sys.stderr)
        return 1
    if options.check:
        _say(f"{len(mutants)} mutants")
        return 0
    if os.geteuid() != 0:
        print("mutate: root is needed: the tests run in namespaces of their own", file=sys.stderr)
        return 1
    copy = _ROOT / ".cache/mutants"
    tree.make(_ROOT, copy, mutants)
    _say(f"{len(mutants)} mutants are compiled")
    if subprocess.run(["make", "--no-print-directory", "-C", str(copy), "modules", "tests"], check=False).returncode != 0:
        return 1
    chosen = [mutant for mutant in mutants if re.search(options.only, mutant.name)][:: max(options.each, 1)]
    score = Score(
        copy, [mutant for mutant in chosen if not mutant.equivalent], options.jobs, not options.named_suites_only)
    if not options.unchecked and not score.check_suites():
        return 1
    score.run()
    _summarize(score, [mutant for mutant in chosen if mutant.equivalent], begin)
    return 1 if score.survived else 0


if __name__ == "__main__":
    sys.exit(main())
