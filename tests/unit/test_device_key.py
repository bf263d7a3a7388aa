# SPDX-License-Identifier: Apache-2.0
"""The device key in a file, and the derivation of keys."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import nacl.encoding
import nacl.hash
import pytest

from facelatch.errors import DeviceKeyError
from facelatch.l2fe.kdf import kdf
from facelatch.vault.device_key import DeviceKey, HostFileKey
from tests.powercut import CARELESS, Disk, PowerCut, first_fault, lay_out, power_cuts

KEY = bytes(range(32))


def write_key(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_kdf_agrees_with_another_implementation() -> None:
    for size in (16, 32, 64):
        expected = nacl.hash.blake2b(
            b"pepper", digest_size=size, key=KEY, person=b"facelatch/kdf/1", encoder=nacl.encoding.RawEncoder
        )
        assert kdf(KEY, "pepper", size) == expected


def test_kdf_is_pinned() -> None:
    # A change here makes every stored record unreadable.
    assert kdf(KEY, "pepper").hex() == "7908f993625594f1b65ee478421aa3bce5e23f228d66d810e2ca723f5a6bc4ff"


def test_kdf_separates_labels_keys_and_sizes() -> None:
    results = [kdf(KEY, "wrap"), kdf(KEY, "sign"), kdf(KEY[::-1], "wrap"), kdf(KEY + b"\0", "wrap")]
    assert len(set(results)) == len(results)
    assert kdf(KEY, "wrap", 16) != kdf(KEY, "wrap")[:16]


@pytest.mark.parametrize(
    ("key", "label", "size"),
    [(b"", "x", 32), (KEY[:31], "x", 32), (bytes(65), "x", 32), (KEY, "", 32), (KEY, "x", 15), (KEY, "x", 65)],
)
def test_kdf_refuses(key: bytes, label: str, size: int) -> None:
    with pytest.raises(ValueError, match=r"must have|needs a label|has 16 to 64"):
        kdf(key, label, size)


def test_create_then_load(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    created: DeviceKey = HostFileKey.create(path)
    loaded: DeviceKey = HostFileKey.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    assert loaded.key_id == created.key_id
    assert loaded.derive("record") == created.derive("record") == kdf(path.read_bytes(), "record")
    assert (loaded.provider, loaded.weak) == ("host-file", True)


def test_keys_differ_and_ids_tell_them_apart(tmp_path: Path) -> None:
    first, second = HostFileKey.create(tmp_path / "1"), HostFileKey.create(tmp_path / "2")
    assert first.key_id != second.key_id
    assert len(first.key_id) == 8
    assert first.derive("record") != second.derive("record")


def test_key_id_is_the_start_of_its_derivation(tmp_path: Path) -> None:
    assert HostFileKey.load(write_key(tmp_path / "key", KEY)).key_id == kdf(KEY, "key-id")[:8]


def test_the_key_is_not_shown(tmp_path: Path) -> None:
    key = HostFileKey.load(write_key(tmp_path / "key", KEY))
    for text in (repr(key), str(key)):
        assert repr(KEY)[2:10] not in text
        assert KEY.hex()[:8] not in text


def test_create_never_replaces(tmp_path: Path) -> None:
    path = write_key(tmp_path / "key", KEY)
    with pytest.raises(DeviceKeyError, match="exists already: use it"):
        HostFileKey.create(path)
    assert path.read_bytes() == KEY
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(DeviceKeyError, match="exists already"):
        HostFileKey.create(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_load_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(DeviceKeyError, match=r"key does not exist: restore it from a backup"):
        HostFileKey.load(tmp_path / "key")


@pytest.mark.parametrize("data", [b"", KEY[:31], bytes(32)], ids=["empty", "short", "zeros"])
def test_a_damaged_key_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DeviceKeyError, match="is damaged: restore it"):
        HostFileKey.load(write_key(tmp_path / "key", data))


def test_a_long_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceKeyError, match="larger than 32 bytes"):
        HostFileKey.load(write_key(tmp_path / "key", KEY + b"\n"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(DeviceKeyError, match=r"open to others .*: run `chmod go= "):
        HostFileKey.load(write_key(tmp_path / "key", KEY, mode))


def test_a_key_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_key(tmp_path / "key", KEY)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(DeviceKeyError, match="belongs to uid"):
        HostFileKey.load(path)


def test_a_linked_key_is_refused(tmp_path: Path) -> None:
    write_key(tmp_path / "real", KEY)
    (tmp_path / "key").symlink_to("real")
    with pytest.raises(DeviceKeyError, match="is a symbolic link"):
        HostFileKey.load(tmp_path / "key")


def test_a_full_disk_leaves_no_key(tmp_path: Path) -> None:
    with pytest.raises(DeviceKeyError, match="device key: no space left"):
        HostFileKey.create(tmp_path / "key", fs=Disk(tmp_path, number=errno.ENOSPC, fail_at=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("careless", [None, *CARELESS])
def test_power_cut_while_creating_leaves_a_whole_key_or_none(tmp_path: Path, careless: type[Disk] | None) -> None:
    disk = (careless or Disk)(lay_out({}, tmp_path / "disk"))
    key_id = HostFileKey.create(disk.root / "key", fs=disk).key_id
    disk.tell("created")

    def wrong(cut: PowerCut, root: Path) -> str | None:
        try:
            left = HostFileKey.load(root / "key").key_id
        except DeviceKeyError as error:
            return None if "does not exist" in str(error) and not cut.told else str(error)
        return None if left == key_id else "another key"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    assert bool(fault) == (careless is not None), fault
