"""The order of the scenarios, whose steps are in guest/scenarios, and the reboots and power cuts between them."""

from guest import Guest, GuestFailure
from results import Results, note

# Seconds. A time limit is long, because it only ends what hangs; an emulated machine can be fifty times slower than a real one.
_BOOT = 240
_STEP = 400
_UNIT_TESTS = 1200

PARTS = ["install", "memory", "demo", "silent", "reboot", "rollback", "fallback", "power", "unit"]


class Scenarios:
    """Runs scenarios on one machine."""

    def __init__(self, guest: Guest, results: Results, hardware: str, unit_tests: str, has_unit_tests: bool) -> None:
        self._guest, self._results, self._hardware = guest, results, hardware
        self._unit_tests, self._has_unit_tests = unit_tests, has_unit_tests

    def run(self, parts: list[str]) -> None:
        """Runs the parts in this order; each needs those before it."""
        for part in parts:
            getattr(self, f"_{part}")()

    # MARK: steps

    def _boot(self, slot: str) -> None:
        """Starts the machine."""
        self._guest.power_on()
        self._await_boot(slot)

    def _await_boot(self, slot: str) -> None:
        """Waits until the machine is ready, also after a reboot of its own, which may end a script."""
        found = self._guest.read_until("ready ", _BOOT, self._take).removeprefix("ready ")
        if found != slot:
            raise GuestFailure(f"the machine runs from slot {found}, and not from slot {slot}")

    def _take(self, line: str) -> None:
        if not line.startswith("end "):
            self._results.take(line)

    def _no_reboot(self, line: str) -> None:
        if line.startswith("ready "):
            raise GuestFailure("the machine rebooted in the middle of a step")
        if line.startswith("end "):
            raise GuestFailure(f"the step ended too early, with status {line.removeprefix('end ')}")
        self._results.take(line)

    def _step(self, name: str, seconds: int = _STEP, **variables: str | int) -> None:
        """Runs a script of the guest to its end."""
        self._begin(name, seconds, **variables)
        end = self._guest.read_until("end ", seconds, self._no_reboot)
        if end != "end 0":
            raise GuestFailure(f"the scenario {name} ended with status {end.removeprefix('end ')}")

    def _begin(self, name: str, seconds: int = _STEP, **variables: str | int) -> None:
        assignments = "".join(f" {key}={value}" for key, value in variables.items())
        self._guest.send(f"{seconds - 20} {name}{assignments}")

    # MARK: parts

    def _install(self) -> None:
        note("installation of the packages, and the unchanged unit")
        self._boot("a")
        self._step("install", EXPECTED_HARDWARE=self._hardware)

    def _memory(self) -> None:
        note("memory at rest")
        self._step("memory")

    def _demo(self) -> None:
        note("the demonstration")
        self._step("demo")

    def _silent(self) -> None:
        note("a silent update without a reboot")
        self._step("silent")

    def _reboot(self) -> None:
        note("an update with a reboot into the other slot")
        self._step("slots-configure", ATTEMPTS=1)
        self._begin("slots-publish", VERSION=11)
        self._await_boot("b")
        self._step("slots-updated", SLOT="b", VERSION=11)

    def _rollback(self) -> None:
        note("an update that is not healthy after its reboot")
        self._begin("slots-publish", VERSION=12)
        self._await_boot("a")
        self._await_boot("b")
        self._step("slots-rolled-back", SLOT="b", VERSION=11, FAILED=12, REASON="check-product")

    def _fallback(self) -> None:
        note("an update whose slot does not boot")
        self._begin("slots-publish", VERSION=13)
        self._await_boot("b")
        # The bootloader has chosen slot b again, and the installer rolls back, which is followed by a reboot.
        self._await_boot("b")
        self._step("slots-rolled-back", SLOT="b", VERSION=11, FAILED=13, REASON="the_device_still_runs_from_slot_b")

    def _power(self) -> None:
        note("power cuts in the download, in the installation, and before the commit")
        self._step("attempts", ATTEMPTS=3)
        self._cut_in("cut-download", VERSION=14)
        self._boot("b")
        self._cut_in("cut-install", VERSION=14, RUNNING=11)
        self._boot("b")
        self._begin("cut-again", VERSION=14, RUNNING=11)
        self._await_boot("a")
        self._cut_in("cut-commit", SLOT="a")
        self._boot("a")
        self._step("cut-finish", SLOT="a")
        self._step("slots-updated", SLOT="a", VERSION=14)

    def _unit(self) -> None:
        if not self._has_unit_tests:
            note(f"skipped: the unit tests, because {self._unit_tests} is missing: packaging/cross/tests.sh builds it")
            return
        note("unit tests")
        self._step("unit-tests", _UNIT_TESTS)

    def _cut_in(self, name: str, **variables: str | int) -> None:
        """Runs a script of the guest until it says that the power can be cut, and cuts it."""
        self._begin(name, **variables)
        self._guest.read_until("cut now", _STEP, self._no_reboot)
        self._guest.cut_power()
        note(f"the power was cut in {name}")
