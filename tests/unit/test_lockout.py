# SPDX-License-Identifier: Apache-2.0
"""Lockout against a virtual clock, reboots, and a power cut at every step; in any order: test_lockout_machine."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

from facelatch.errors import StorageError
from facelatch.vault import lockout as lockout_module
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import DEVICE, FREE_FAILURES, MAX_FAILURES, SPOOF, BootClock, Lockout, Wait, delay
from tests.in_process import VirtualClock
from tests.powercut import CARELESS, Disk, PowerCut, first_fault, power_cuts

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
    fail(lockout, 49)
    assert seconds(lockout.wait(ANNA)) == 3600
    fail(lockout, 1)
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


def test_what_was_forgotten_stays_so_over_a_restart(tmp_path: Path, lockout: Lockout, clock: VirtualClock) -> None:
    fail(lockout, FREE_FAILURES)
    fail(lockout, FREE_FAILURES, BOB)
    lockout.reset(ANNA)
    again = Lockout(tmp_path / "lockout", KEY, clock)
    assert again.wait(ANNA) is None
    assert seconds(again.wait(BOB)) == 30


def test_one_users_failures_are_not_anothers(lockout: Lockout) -> None:
    fail(lockout, MAX_FAILURES)
    assert lockout.wait(BOB) is None
    assert lockout.wait(DEVICE) is None


def test_strangers_slow_the_device_and_never_lock_anyone_out(lockout: Lockout, clock: VirtualClock) -> None:
    waits = []
    for _ in range(10):
        fail(lockout, 1, DEVICE)
        waits.append(seconds(lockout.wait(DEVICE)))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 30, 30]
    fail(lockout, 190, DEVICE)
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
    assert BootClock().boot() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_where_the_kernel_hides_its_boot_each_start_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lockout_module, "_BOOT_ID", tmp_path / "hidden")
    boots = [BootClock().boot() for _ in range(2)]
    assert boots[0] != boots[1]
    assert [len(bytes.fromhex(boot)) for boot in boots] == [16, 16]


def sealed_state(plain: bytes, magic: bytes = b"FLL\x01") -> bytes:
    """Seal a state as whoever holds the device key could; written from the description alone."""
    prefix, nonce = magic + KEY.current.key_id, bytes(24)
    key = KEY.current.derive("lockout")
    return magic + KEY.current.key_id + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, prefix, nonce, key)


def test_the_form_of_the_file_is_pinned(tmp_path: Path) -> None:
    # A change here forgets the failures of every device, or stops its start.
    counts = {ANNA: 6, "device": 7, "spoof": 5}
    state = {"boot": "first", "counts": {name: {"failures": n, "until": 105.0} for name, n in counts.items()}}
    path = tmp_path / "lockout"
    path.write_bytes(sealed_state(json.dumps(state).encode()))
    read = Lockout(path, KEY, VirtualClock())
    assert [seconds(read.wait(subject)) for subject in (ANNA, DEVICE, SPOOF)] == [5, 5, 5]
    again = Lockout(path, KEY, VirtualClock("second"))
    assert [seconds(again.wait(subject)) for subject in (ANNA, DEVICE, SPOOF)] == [60, 8, 30]


@pytest.mark.parametrize(
    "state",
    [
        {"boot": "first", "counts": {}, "more": 1},
        {"boot": "first", "counts": {ANNA: {"failures": 1, "until": 0.0, "more": 1}}},
        {"boot": "first", "counts": {ANNA: {"failures": "1", "until": 0.0}}},
        {"boot": "first"},
        [],
    ],
)
def test_what_a_holder_of_the_key_wrote_wrongly_is_refused(tmp_path: Path, state: object) -> None:
    (tmp_path / "lockout").write_bytes(sealed_state(json.dumps(state).encode()))
    with pytest.raises(StorageError, match="lockout state"):
        Lockout(tmp_path / "lockout", KEY, VirtualClock())


def test_another_magic_is_refused(tmp_path: Path) -> None:
    whole = sealed_state(b'{"boot":"first","counts":{}}')
    for data in (b"FLR" + whole[3:], sealed_state(b'{"boot":"first","counts":{}}', b"FLL\x02")):
        (tmp_path / "lockout").write_bytes(data)
        with pytest.raises(StorageError, match="lockout state"):
            Lockout(tmp_path / "lockout", KEY, VirtualClock())


def test_more_than_all_counts_there_can_be_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "lockout").write_bytes(bytes(128 * 1024 + 1))
    with pytest.raises(StorageError, match="larger than 131072 bytes"):
        Lockout(tmp_path / "lockout", KEY, VirtualClock())


def test_nothing_is_written_where_there_is_nothing_to_forget_or_move(tmp_path: Path, lockout: Lockout) -> None:
    lockout.reset(ANNA)
    lockout.move(HostFileKey(bytes(range(2, 34))))
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("careless", [None, *CARELESS])
def test_no_power_cut_lowers_a_count(tmp_path: Path, careless: type[Disk] | None) -> None:
    """Cut at every operation of a charge: whatever is left on disk, the count is the old or the new one."""
    path = tmp_path / "disk" / "lockout"
    path.parent.mkdir()
    fail(Lockout(path, KEY, VirtualClock()), 6)
    disk = (careless or Disk)(path.parent)
    Lockout(path, KEY, VirtualClock(), fs=disk).charge(ANNA)
    disk.tell("charged")
    met = set()

    def wrong(cut: PowerCut, root: Path) -> str | None:
        try:
            left = seconds(Lockout(root / "lockout", KEY, VirtualClock()).wait(ANNA))
        except StorageError as error:
            return str(error)
        met.add(left)
        return None if left in ([delay(ANNA, 6), delay(ANNA, 7)][bool(cut.told) :]) else f"{left} s"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    assert bool(fault) == (careless is not None), fault
    assert careless or met == {delay(ANNA, 6), delay(ANNA, 7)}


def test_what_cannot_be_stored_is_an_error_and_counts_nothing(tmp_path: Path) -> None:
    lockout = Lockout(tmp_path / "gone" / "lockout", KEY, VirtualClock())
    with pytest.raises(StorageError):
        lockout.charge(ANNA)
    assert lockout.wait(ANNA) is None
