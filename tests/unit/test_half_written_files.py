# SPDX-License-Identifier: Apache-2.0
"""A file of which the end is missing, or is zeros, is never trusted: cut at every byte, each kind by its own reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facelatch.daemon.mode import Mode, read_mode
from facelatch.errors import FacelatchError
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import Lockout
from facelatch.vault.record import unseal
from facelatch.vault.secret_file import peek
from tests.powercut import Tree, in_memory
from tests.stored_agent import StandingClock, populated


@pytest.fixture
def place() -> Iterator[Path]:
    with in_memory() as directory:
        yield directory


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    """What an agent keeps that has users, secrets, failures and a mode."""
    with in_memory() as directory:
        yield populated(directory)


def read_record(path: Path, key: HostFileKey) -> object:
    return unseal(path.read_bytes(), key, path.stem)


def read_secret(path: Path, key: HostFileKey) -> object:
    return peek(path.read_bytes(), key, "secret")


def read_lockout(path: Path, key: HostFileKey) -> object:
    return Lockout(path, KeyRing(key), StandingClock())


def read_key(path: Path, _: HostFileKey) -> object:
    return HostFileKey.load(path)


KINDS: dict[str, tuple[str, Callable[[Path, HostFileKey], object]]] = {
    "record": ("records/*.rec", read_record),
    "secret": ("records/secrets/*.sec", read_secret),
    "lockout": ("records/lockout", read_lockout),
    "device key": ("device.key", read_key),
}


def damaged(data: bytes) -> Iterator[bytes]:
    """Give every beginning of a file, and each with zeros up to the end."""
    for size in range(len(data)):
        yield data[:size]
        if any(data[size:]):
            yield data[:size] + bytes(len(data) - size)


@pytest.mark.parametrize("kind", KINDS)
def test_no_beginning_of_a_file_is_taken_for_the_file(tree: Tree, place: Path, kind: str) -> None:
    pattern, read = KINDS[kind]
    (place / "key").write_bytes(tree["device.key"] or b"")
    (place / "key").chmod(0o600)
    key = HostFileKey.load(place / "key")
    name = next(name for name in tree if Path(name).match(pattern))
    data = tree[name]
    assert data
    path = place / Path(name).name
    path.write_bytes(data)
    path.chmod(0o600)
    read(path, key)  # the whole is one
    for piece in damaged(data):
        path.write_bytes(piece)
        # A key is 32 bytes of chance and has no tag: all that tells a part of one is its size.
        if kind == "device key" and len(piece) == len(data) and any(piece):
            continue
        with pytest.raises(FacelatchError):
            read(path, key)


@pytest.mark.parametrize("mode", [Mode.ARMED, Mode.SET_UP])
def test_a_mode_is_the_one_that_was_written_or_none(place: Path, mode: Mode) -> None:
    for piece in damaged(f"{mode}\n".encode()):
        (place / "door").write_bytes(piece)
        # All but its line's end is as good as the whole.
        assert read_mode(place) is (mode if piece.strip() == mode.encode() else Mode.DISARMED)
