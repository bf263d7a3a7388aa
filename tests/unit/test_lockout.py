# SPDX-License-Identifier: Apache-2.0
"""Lockout against a virtual clock, reboots, and a power cut at every step; in any order: test_lockout_machine."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from facelatch.errors import StorageError
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.files import sweep
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import DEVICE, FREE_FAILURES, MAX_FAILURES, SPOOF, BootClock, Lockout, Wait, delay
from tests.in_process import VirtualClock
from tests.powercut import PowerCut, PowerCutFs

KEY = KeyRing(HostFileKey(bytes(range(32))))
ANNA, BOB = "0" * 32, "1" * 32


def seconds(wait: Wait | None) -> float | None:
    return 0.0 if wait is None else wait.seconds


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def lockout(tmp_path: Path, clock: VirtualClock) -> Lockout:
    return Lockout(tmp_path / "lockout", KEY, clock)


def fail(lockout: Lockout, times: int, subject: str = ANNA) -> None:
    for _ in range(times):
        lockout.charge(subject)


def test_four_failures_cost_nothing_and_the_fifth_half_a_minute(lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, FREE_FAILURES - 1)
    assert lockout.wait(ANNA) is None
    fail(lockout, 1)
    assert seconds(lockout.wait(ANNA)) == 30
    clock.time += 29.5
    assert seconds(lockout.wait(ANNA)) == pytest.approx(0.5)
    clock.time += 0.5
    assert lockout.wait(ANNA) is None


def test_each_failure_after_that_doubles_the_wait_up_to_an_hour(lockout: Lockout) -> None:
    fail(lockout, FREE_FAILURES)
    waits = []
    for _ in range(9):
        waits.append(seconds(lockout.wait(ANNA)))
        fail(lockout, 1)
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_the_fiftieth_failure_turns_the_face_off_until_a_reset(lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, MAX_FAILURES)
    clock.time += 10**9
    assert lockout.wait(ANNA) == Wait(None)
    lockout.reset(ANNA)
    assert lockout.wait(ANNA) is None


def test_a_match_forgets_the_failures_before_it(lockout: Lockout) -> None:
    fail(lockout, FREE_FAILURES - 1)
    lockout.charge(ANNA)
    lockout.reset(ANNA)
    fail(lockout, FREE_FAILURES - 1)
    assert lockout.wait(ANNA) is None


def test_one_users_failures_are_not_anothers(lockout: Lockout) -> None:
    fail(lockout, MAX_FAILURES)
    assert lockout.wait(BOB) is None
    assert lockout.wait(DEVICE) is None


def test_strangers_slow_the_device_and_never_lock_anyone_out(lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, 200, DEVICE)
    assert seconds(lockout.wait(DEVICE)) == 30
    assert lockout.wait(ANNA) is None
    clock.time += 30
    assert lockout.wait(DEVICE) is None


def test_pictures_wait_five_minutes_at_most_and_never_turn_the_face_off(lockout: Lockout) -> None:
    waits = []
    for _ in range(FREE_FAILURES + 5):
        fail(lockout, 1, SPOOF)
        waits.append(seconds(lockout.wait(SPOOF)))
    assert waits == [0.0] * (FREE_FAILURES - 1) + [30, 60, 120, 240, 300, 300]
    fail(lockout, MAX_FAILURES, SPOOF)
    assert seconds(lockout.wait(SPOOF)) == 300
    assert lockout.wait(ANNA) is None
    assert lockout.wait(DEVICE) is None


def test_a_restart_of_the_agent_changes_nothing(tmp_path: Path, lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, 6)
    clock.time += 20
    again = Lockout(tmp_path / "lockout", KEY, clock)
    assert seconds(again.wait(ANNA)) == pytest.approx(40)


def test_a_reboot_starts_the_wait_again_in_full(tmp_path: Path, lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, 6)
    clock.time += 10**6
    again = Lockout(tmp_path / "lockout", KEY, VirtualClock("second", 3.0))
    assert seconds(again.wait(ANNA)) == 60
    assert again.wait(BOB) is None
    running = VirtualClock("second", 33.0)
    assert seconds(Lockout(tmp_path / "lockout", KEY, running).wait(ANNA)) == 30


def test_suspended_time_counts(lockout: Lockout, clock: VirtualClock) -> None:
    """The clock goes on while the device sleeps, so a wait that ends in the meantime has ended."""
    fail(lockout, 5)
    clock.time += 8 * 3600
    assert lockout.wait(ANNA) is None


def test_the_kernels_clock_is_not_the_one_that_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = BootClock().now()
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))
    monkeypatch.setattr(time, "time_ns", lambda: pytest.fail("the wall clock was asked"))
    assert before <= BootClock().now() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert BootClock().boot() == BootClock().boot() != ""


def test_the_file_names_nobody_and_is_private(tmp_path: Path, lockout: Lockout) -> None:
    fail(lockout, 1)
    data = (tmp_path / "lockout").read_bytes()
    assert ANNA.encode() not in data
    assert bytes.fromhex(ANNA) not in data
    assert (tmp_path / "lockout").stat().st_mode & 0o777 == 0o600


def test_a_renewed_device_key_keeps_the_counts(tmp_path: Path, lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, 6)
    renewed = HostFileKey(bytes(range(2, 34)))
    lockout.move(renewed)
    with pytest.raises(StorageError):
        Lockout(tmp_path / "lockout", KEY, clock)
    both = KeyRing(KEY.current)
    both.next = renewed
    assert seconds(Lockout(tmp_path / "lockout", both, clock).wait(ANNA)) == 60


@pytest.mark.parametrize("spoil", ["flip", "truncate", "empty", "other key"])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, lockout: Lockout, spoil: str) -> None:
    fail(lockout, 1)
    path, key = tmp_path / "lockout", KEY
    data = bytearray(path.read_bytes())
    match spoil:
        case "flip":
            data[-1] ^= 1
        case "truncate":
            del data[20:]
        case "empty":
            data.clear()
        case _:
            key = KeyRing(HostFileKey(bytes(range(1, 33))))
    path.write_bytes(data)
    with pytest.raises(StorageError, match="lockout state"):
        Lockout(path, key, VirtualClock())


def test_no_power_cut_lowers_a_count(tmp_path: Path) -> None:
    """Cut at every operation of a charge: whatever is left on disk, the count is the old or the new one."""
    cut_at, seen = 0, set()
    while True:
        directory = tmp_path / str(cut_at)
        directory.mkdir()
        path = directory / "lockout"
        fail(Lockout(path, KEY, VirtualClock()), 6)
        fs = PowerCutFs(directory, cut_at)
        lockout = Lockout(path, KEY, VirtualClock(), fs=fs)
        try:
            lockout.charge(ANNA)
        except PowerCut:
            done = False
        else:
            done = True
        fs.fall(keep_names=cut_at % 2 == 0)
        sweep(directory)
        left = seconds(Lockout(path, KEY, VirtualClock()).wait(ANNA))
        assert left in (delay(ANNA, 6), delay(ANNA, 7))
        seen.add(left)
        if done:
            assert left == delay(ANNA, 7)
            break
        cut_at += 1
    assert cut_at >= 4
    assert len(seen) == 2


def test_what_cannot_be_stored_is_an_error_and_counts_nothing(tmp_path: Path) -> None:
    lockout = Lockout(tmp_path / "gone" / "lockout", KEY, VirtualClock())
    with pytest.raises(StorageError):
        lockout.charge(ANNA)
    assert lockout.wait(ANNA) is None
