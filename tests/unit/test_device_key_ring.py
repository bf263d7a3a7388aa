# SPDX-License-Identifier: Apache-2.0
"""Renewing a device key, with the power going at every step of it, and the choice of a provider."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from facelatch.errors import ConfigError, DeviceKeyError
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_providers import PROVIDERS, open_key_ring
from facelatch.vault.key_ring import FileKeyRing, KeyRing, next_path
from tests.powercut import CARELESS, Disk, PowerCut, first_fault, lay_out, power_cuts

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key's file."""
    path = tmp_path / "device.key"
    HostFileKey.create(path)
    return path


def reopen(path: Path) -> FileKeyRing:
    return FileKeyRing(path, HostFileKey)


def insist(step: Callable[[], object]) -> list[str]:
    """Try until it works; return what was said each time that it did not."""
    said = []
    while True:
        try:
            step()
        except DeviceKeyError as error:
            said.append(error.problem)
        else:
            return said


def test_a_whole_renewal(path: Path) -> None:
    ring = reopen(path)
    old = ring.current
    assert (ring.next, ring.newest) == (None, old)
    new = ring.begin_rotation()
    assert new.key_id != old.key_id
    assert (ring.current, ring.next, ring.newest) == (old, new, new)
    assert (ring.find(old.key_id), ring.find(new.key_id), ring.find(bytes(8))) == (old, new, None)
    ring.finish_rotation()
    assert (ring.current, ring.next, ring.newest) == (new, None, new)
    assert ring.find(old.key_id) is None
    again = reopen(path)
    assert (again.current.key_id, again.next) == (new.key_id, None)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_renewal_goes_on_after_a_restart(path: Path) -> None:
    old, new = reopen(path).current, reopen(path).begin_rotation()
    ring = reopen(path)
    assert ring.next is not None
    assert (ring.current.key_id, ring.next.key_id) == (old.key_id, new.key_id)
    assert ring.begin_rotation().key_id == new.key_id
    ring.finish_rotation()
    assert reopen(path).current.key_id == new.key_id


def test_finishing_what_was_not_begun(path: Path) -> None:
    with pytest.raises(DeviceKeyError, match=r"no new device key .*: begin the renewal first"):
        reopen(path).finish_rotation()


def test_a_new_key_that_went_missing(path: Path) -> None:
    ring = reopen(path)
    ring.begin_rotation()
    next_path(path).unlink()
    with pytest.raises(DeviceKeyError, match=r"device\.key\.next is gone: restore that file"):
        ring.finish_rotation()
    assert ring.next is not None


def test_a_new_key_is_checked_like_the_old(path: Path) -> None:
    reopen(path).begin_rotation()
    next_path(path).chmod(0o644)
    with pytest.raises(DeviceKeyError, match=r"device\.key\.next is open to others"):
        reopen(path)


@pytest.mark.parametrize("careless", [None, *CARELESS])
def test_power_cut_at_every_step_loses_no_key(tmp_path: Path, careless: type[Disk] | None) -> None:
    root = lay_out({}, tmp_path / "disk")
    old = HostFileKey.create(root / "device.key").key_id
    disk = (careless or Disk)(root)
    ring = FileKeyRing(root / "device.key", HostFileKey, fs=disk)
    new = ring.begin_rotation().key_id
    disk.tell("records may be under either")
    disk.tell("all are under the new one")
    ring.finish_rotation()
    disk.tell("the new one is in use")

    def wrong(cut: PowerCut, root: Path) -> str | None:
        try:
            left = FileKeyRing(root / "device.key", HostFileKey, fs=Disk(root))
        except DeviceKeyError as error:
            return str(error)
        if left.find(new if cut.told else old) is None:
            return "a key is lost"
        if len(cut.told) == len(disk.told) and left.current.key_id != new:
            return "the old key is back"
        expected = left.begin_rotation().key_id
        left.finish_rotation()
        return None if FileKeyRing(root / "device.key", HostFileKey).current.key_id == expected else "it does not go on"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    assert bool(fault) == (careless is not None), fault


def start(path: Path, disk: Disk) -> KeyRing:
    return open_key_ring("host-file", path, may_create=True, fs=disk)


def renew(path: Path, disk: Disk) -> KeyRing:
    ring = FileKeyRing(path, HostFileKey, fs=disk)
    ring.begin_rotation()
    return ring


@pytest.mark.parametrize(("use", "first"), [(start, True), (start, False), (renew, False)])
def test_a_key_whose_maker_was_killed_is_durable_before_it_is_used(
    tmp_path: Path, use: Callable[[Path, Disk], KeyRing], first: bool
) -> None:
    path = tmp_path / "device.key"
    if not first:
        HostFileKey.create(path)
    disk = Disk(tmp_path)
    unsynced = path if first else next_path(path)
    descriptor = disk.create(unsynced, 0o600)
    rest = KEY
    while rest:
        rest = rest[disk.write(descriptor, rest) :]
    disk.sync(descriptor)
    disk.close(descriptor)
    disk.tell(use(path, disk).newest.key_id)
    left = [cut.tree for cut in power_cuts(disk) if cut.told]
    assert left
    assert all(tree.get(unsynced.name) == KEY for tree in left)


FAULTS = {errno.ENOSPC: "no space left to write", errno.EROFS: "cannot write", errno.EIO: "cannot write"}


@pytest.mark.parametrize("number", FAULTS)
def test_a_disk_that_fails_once_at_any_step(tmp_path: Path, number: int) -> None:
    """The step is told to have failed, and why; done again it is done, and stays so when the power goes."""
    for fail_at in count():
        path = tmp_path / f"{fail_at}" / "device.key"
        path.parent.mkdir()
        old = HostFileKey.create(path).key_id
        fs = Disk(path.parent, number=number, fail_at=fail_at)
        ring = FileKeyRing(path, HostFileKey, fs=fs)
        said = insist(ring.begin_rotation)
        assert ring.current.key_id == old
        new = ring.newest
        assert reopen(path).newest.key_id == new.key_id
        key = next_path(path).read_bytes()
        fs.tell("begun")
        said += insist(ring.finish_rotation)
        assert reopen(path).current.key_id == ring.current.key_id == new.key_id
        fs.tell("finished")
        for cut in power_cuts(fs):
            if "finished" in cut.told:
                assert cut.tree == {path.name: key}
            elif "begun" in cut.told:
                assert key in cut.tree.values()
        if not said:
            break
        assert len(said) == 1
        assert said[0].startswith(f"device key: {FAULTS[number]} {path}")
    assert fail_at >= 7


def test_a_key_the_agent_cannot_renew() -> None:
    ring = KeyRing(HostFileKey(KEY))
    for step in (ring.begin_rotation, ring.finish_rotation):
        with pytest.raises(
            DeviceKeyError, match=r"cannot renew .*: seal a new credential with `systemd-creds encrypt`"
        ):
            step()
    assert ring.next is None


def test_the_first_start_makes_a_key(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    made = open_key_ring("host-file", path, may_create=True).current
    assert (made.provider, made.weak) == ("host-file", True)
    for may_create in (True, False):
        assert open_key_ring("host-file", path, may_create=may_create).current.key_id == made.key_id


def test_with_records_no_key_is_made(tmp_path: Path) -> None:
    with pytest.raises(DeviceKeyError, match="does not exist: restore it"):
        open_key_ring("host-file", tmp_path / "device.key", may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_new_key_alone_is_not_taken_for_a_first_start(path: Path) -> None:
    reopen(path).begin_rotation()
    path.unlink()
    with pytest.raises(DeviceKeyError, match="does not exist: restore it"):
        open_key_ring("host-file", path, may_create=True)


def test_what_is_no_key_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    path.symlink_to("nowhere")
    with pytest.raises(DeviceKeyError, match="is a symbolic link"):
        open_key_ring("host-file", path, may_create=True)
    with pytest.raises(DeviceKeyError, match=r"directory .* does not exist: create it"):
        open_key_ring("host-file", tmp_path / "missing" / "device.key", may_create=True)


def test_leftovers_of_a_power_cut_are_swept(path: Path) -> None:
    (path.parent / f".{path.name}.0123456789abcdef.tmp").write_bytes(b"half a key")
    open_key_ring("host-file", path, may_create=False)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_unknown_provider(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no device key provider 'yubikey': use one of rpi-fw-crypto, tpm2, "):
        open_key_ring("yubikey", tmp_path / "key", may_create=True)
    assert len(set(PROVIDERS)) == 4
