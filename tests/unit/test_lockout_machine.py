# SPDX-License-Identifier: Apache-2.0
"""Lockout in any order of failures, resets, time, set clocks, suspends, reboots and power cuts; and broken ones.

`FACELATCH_EFFORT=100 pytest tests/unit/test_lockout_machine.py` tries a hundred times as much.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import booleans, floats, integers, sampled_from

from facelatch.errors import StorageError
from facelatch.vault import lockout as lockout_module
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.files import sweep
from facelatch.vault.filesystem import OsFileSystem
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import DEVICE, FREE_FAILURES, MAX_FAILURES, SPOOF, BootClock, Lockout, Wait
from tests.powercut import Disk, NeverSyncs, lay_out, power_cuts
from tests.properties import control, effort

KEY = KeyRing(HostFileKey(bytes(range(32))))
ANNA, BOB = "0" * 32, "1" * 32
SUBJECTS = (ANNA, BOB, DEVICE, SPOOF)
# First and longest wait, as README.md and docs/threat-model.md have them.
WAITS = {ANNA: (30, 3600), BOB: (30, 3600), DEVICE: (2, 30), SPOOF: (30, 300)}


def due(subject: str, failures: int) -> float:
    """Seconds to wait after so many failures, written down a second time."""
    first, longest = WAITS[subject]
    return 0.0 if failures < FREE_FAILURES else float(min(first << (failures - FREE_FAILURES), longest))


class DeviceClock:
    """The three times of a device, of which a lockout must go by one: since boot, with sleep."""

    def __init__(self) -> None:
        self.boots = 0
        self.since_boot = 1.0
        self.awake = 1.0
        self.wall = 1_800_000_000.0

    def boot(self) -> str:
        return str(self.boots)

    def now(self) -> float:
        return self.since_boot


class Lockouts(RuleBasedStateMachine):
    """A lockout on a disk, and counts in a plain dictionary: for each subject those that it may have after a cut."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="facelatch-"))
        self.path = self.directory / "lockout"
        self.clock = DeviceClock()
        self.failures = dict.fromkeys(SUBJECTS, 0)
        self.until = dict.fromkeys(SUBJECTS, 0.0)
        self.fs: OsFileSystem = OsFileSystem()
        self.lockout = self.opened()
        self.told = self.waits()

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def opened(self) -> Lockout:
        return Lockout(self.path, KEY, self.clock, fs=self.fs)

    def waits(self) -> dict[str, float]:
        return {subject: seconds(self.lockout.wait(subject)) for subject in SUBJECTS}

    def expect(self, subject: str, failures: int) -> None:
        """Note a change that is on disk."""
        self.failures[subject] = failures
        self.until[subject] = self.clock.since_boot + due(subject, failures)
        self.told[subject] = float("inf")  # it may be longer now

    @rule(subject=sampled_from(SUBJECTS), times=integers(1, 6))
    def fail(self, subject: str, times: int) -> None:
        for _ in range(times):
            before = seconds(self.lockout.wait(subject))
            self.lockout.charge(subject)
            assert seconds(self.lockout.wait(subject)) >= before, "a failure made a wait shorter"
            self.expect(subject, min(self.failures[subject] + 1, MAX_FAILURES))

    @rule(subject=sampled_from(SUBJECTS))
    def reset(self, subject: str) -> None:
        self.lockout.reset(subject)
        self.expect(subject, 0)

    @rule(passed=floats(0, 2000))
    def time_passes(self, passed: float) -> None:
        self.clock.since_boot += passed
        self.clock.awake += passed
        self.clock.wall += passed

    @rule(asleep=floats(0, 100_000))
    def suspend(self, asleep: float) -> None:
        self.clock.since_boot += asleep
        self.clock.wall += asleep

    @rule(wall=floats(0, 4e9))
    def set_clock(self, wall: float) -> None:
        """Somebody sets the clock, back or forth."""
        self.clock.wall = wall

    @rule()
    def restart(self) -> None:
        """The agent starts again in the same boot."""
        self.lockout = self.opened()

    @rule(wall=floats(0, 4e9))
    def reboot(self, wall: float) -> None:
        self.clock.boots += 1
        self.clock.since_boot = self.clock.awake = 1.0
        self.clock.wall = wall
        self.lockout = self.opened()
        for subject, failures in self.failures.items():
            self.expect(subject, failures)

    @rule(
        subject=sampled_from(SUBJECTS),
        resets=booleans(),
        chosen=integers(0, 10_000),
        kept_up=booleans(),
    )
    def power_cut(self, subject: str, resets: bool, chosen: int, kept_up: bool) -> None:
        """The power goes in the middle of a change: whoever was told of it finds it, whoever was not, old or new."""
        if not resets and self.failures[subject] == MAX_FAILURES:
            return  # the count tells nobody then whether the wait began anew
        disk = self.disk()
        self.fs = disk
        old, new = self.failures[subject], 0 if resets else self.failures[subject] + 1
        cut_short = self.opened()
        if resets:
            cut_short.reset(subject)
        else:
            cut_short.charge(subject)
        disk.tell("changed")
        cuts = list(power_cuts(disk))
        cut = cuts[chosen % len(cuts)]
        told = bool(cut.told)
        lay_out(cut.tree, self.directory)
        sweep(self.directory)
        self.fs = OsFileSystem()
        self.clock.boots += not kept_up  # an agent that was killed leaves a disk like it, and the same boot
        if not kept_up:
            self.clock.since_boot = self.clock.awake = 1.0
        self.lockout = self.opened()
        found = self.lockout._counts.get(subject)
        failures = 0 if found is None else found.failures
        assert failures in ((new,) if told else (old, new)), "a count that was told is gone"
        for name in SUBJECTS:
            if not kept_up or (name == subject and failures != old):
                self.expect(name, failures if name == subject else self.failures[name])

    def disk(self) -> Disk:
        return Disk(self.directory)

    @invariant()
    def waits_are_as_counted(self) -> None:
        for subject, failures in self.failures.items():
            wait = self.lockout.wait(subject)
            if subject in (ANNA, BOB) and failures >= MAX_FAILURES:
                assert wait == Wait(None)
            else:
                left = max(self.until[subject] - self.clock.since_boot, 0.0)
                assert seconds(wait) == pytest.approx(left, abs=1e-6)

    @invariant()
    def no_wait_grows_by_itself(self) -> None:
        waits = self.waits()
        assert all(waits[subject] <= self.told[subject] + 1e-6 for subject in SUBJECTS)
        self.told = waits


def seconds(wait: Wait | None) -> float:
    if wait is None:
        return 0.0
    return float("inf") if wait.seconds is None else wait.seconds


TestLockouts = Lockouts.TestCase
TestLockouts.settings = effort(examples=25, steps=40)


def kept_over_a_reboot(self: Lockout, ring: KeyRing, true: Callable[..., Any] = Lockout._load) -> Any:
    boot, self._boot = self._boot, ""
    clock, self._clock = self._clock, BootClock()
    self._clock.now = lambda: -1e9  # type: ignore[method-assign]
    try:
        return true(self, ring)
    finally:
        self._boot, self._clock = boot, clock


def only_in_memory(self: Lockout, subject: str, count: Any) -> None:
    self._counts = {**{name: kept for name, kept in self._counts.items() if name != subject}}
    if count is not None:
        self._counts[subject] = count


def halved(subject: str, failures: int, true: Callable[[str, int], float] = lockout_module.delay) -> float:
    return true(subject, failures) / 2 if failures > FREE_FAILURES + 2 else true(subject, failures)


@pytest.mark.parametrize(
    ("where", "name", "fault"),
    [
        pytest.param(DeviceClock, "now", lambda clock: clock.wall, id="goes by the clock that can be set"),
        pytest.param(DeviceClock, "now", lambda clock: clock.awake, id="goes by a clock that stops in sleep"),
        pytest.param(Lockouts, "disk", lambda self: NeverSyncs(self.directory), id="nothing is synced"),
        pytest.param(Lockout, "_load", kept_over_a_reboot, id="a reboot ends every wait"),
        pytest.param(Lockout, "_store", only_in_memory, id="counts are not stored"),
        pytest.param(lockout_module, "delay", halved, id="waits are shorter than promised"),
    ],
)
def test_a_lockout_with_a_fault_is_caught(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, fault: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, fault)
    with pytest.raises((AssertionError, StorageError, ExceptionGroup)):
        run_state_machine_as_test(Lockouts, settings=control(examples=60, steps=40))
