# SPDX-License-Identifier: Apache-2.0
"""Sealed secrets: the product and the second implementation say the same, over the vectors and beyond them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facelatch.l2fe.extractor import HelperData, Sketch
from facelatch.vault import padded, secret_box
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Account, Header, Record
from facelatch.vault.secret_box import SecretCorruptError, SecretError, SecretMisplacedError
from facelatch.vault.secret_file import Entry, SecretKeyError, SecretVersionError, encode, peek
from facelatch.vault.secrets import NoSuchSecretError, Secrets
from tests import reference_seal
from tests.reference import frame, public_keys
from tests.reference_lattice import RefusedError
from tests.vector_base import DEVICE_KEY, RECORD_ID, USER, flip

VECTORS = Path(__file__).parents[1] / "vectors" / "seal"
KEY = HostFileKey(DEVICE_KEY)
OUTCOMES: dict[type[SecretError], str] = {
    SecretCorruptError: "corrupt",
    SecretVersionError: "another version",
    SecretKeyError: "another device key",
    SecretMisplacedError: "another secret",
    NoSuchSecretError: "no such secret",
}

users = st.text(min_size=1, max_size=63)
names = st.from_regex(reference_seal.NAME, fullmatch=True)
secrets = st.binary(min_size=1, max_size=200) | st.binary(min_size=4090, max_size=4096)
keys = st.binary(min_size=32, max_size=32)


class SealVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of tests/vectors/seal."""

    about: str
    expect: str
    device_key: str
    name: str
    user: str
    record_id: str
    secret_name: str
    public_key: str
    unlocked: str
    file: str
    secret: str | None = None


SEALED = {path.stem: msgspec.json.decode(path.read_bytes(), type=SealVector) for path in sorted(VECTORS.glob("*.json"))}


def record_of(user: str, record_id: bytes, public_key: bytes) -> Record:
    """As much of a record as sealing needs."""
    helper = HelperData(Sketch(bytes(32), np.zeros(1, dtype=np.int64)), bytes(16), bytes(72), bytes(32), public_key)
    return Record(
        Header(bytes(32), bytes(8), record_id, 0, user), Account(administrator=False, enrolled_usec=0), helper
    )


def product_opens(vector: SealVector, directory: Path) -> tuple[str, str | None]:
    """Look for a vector's secret as the daemon does: the outcome, and the secret."""
    store = Secrets(directory / "secrets", HostFileKey(bytes.fromhex(vector.device_key)))
    (directory / "secrets" / vector.name).write_bytes(bytes.fromhex(vector.file))
    record = record_of(vector.user, bytes.fromhex(vector.record_id), bytes.fromhex(vector.public_key))
    try:
        box = store.get(record, vector.secret_name)
        return "success", secret_box.unseal(box, bytes.fromhex(vector.unlocked), vector.user, vector.secret_name).hex()
    except SecretError as error:
        return OUTCOMES[type(error)], None


def reference_opens(vector: SealVector) -> tuple[str, str | None]:
    """The same with the second implementation."""
    device_key, record_id = bytes.fromhex(vector.device_key), bytes.fromhex(vector.record_id)
    public_key, file = bytes.fromhex(vector.public_key), bytes.fromhex(vector.file)
    try:
        box = reference_seal.find_box(file, vector.name, device_key, record_id, public_key, vector.secret_name)
        secret = reference_seal.open_secret(box, bytes.fromhex(vector.unlocked), vector.user, vector.secret_name)
    except RefusedError as error:
        return str(error.reason), None
    return "success", secret.hex()


@pytest.mark.parametrize("name", SEALED)
def test_the_product_gives_the_expected_outcome(name: str, tmp_path: Path) -> None:
    assert product_opens(SEALED[name], tmp_path) == (SEALED[name].expect, SEALED[name].secret)


@pytest.mark.parametrize("name", SEALED)
def test_the_second_implementation_gives_the_expected_outcome(name: str) -> None:
    assert reference_opens(SEALED[name]) == (SEALED[name].expect, SEALED[name].secret)


def test_every_outcome_has_a_vector() -> None:
    assert {vector.expect for vector in SEALED.values()} == {"success", *OUTCOMES.values()}


@given(user=users, name=names, secret=secrets, unlocked=keys, record_id=st.binary(min_size=16, max_size=16), nonce=keys)
@example("ä" * 127 + "a", "n" * 64, b"\0" * 4096, bytes(32), bytes(16), bytes(32))
@settings(deadline=None)
def test_each_opens_what_the_other_sealed(
    user: str, name: str, secret: bytes, unlocked: bytes, record_id: bytes, nonce: bytes
) -> None:
    _, public_key = public_keys(unlocked)
    called = reference_seal.file_name(DEVICE_KEY, record_id, name.encode())

    box = secret_box.seal(secret, public_key, user, name)
    file = encode(Entry(record_id, public_key, name, box), KEY, lambda size: nonce[:size])
    assert reference_seal.find_box(file, called, DEVICE_KEY, record_id, public_key, name) == box
    assert reference_seal.open_secret(box, unlocked, user, name) == secret
    assert reference_seal.make_file(DEVICE_KEY, record_id, public_key, name, box, nonce[:24]) == file

    slow_box = reference_seal.make_box(public_key, user, name, secret, nonce)
    slow = reference_seal.make_file(DEVICE_KEY, record_id, public_key, name, slow_box, nonce[:24])
    assert peek(slow, KEY, "secret x") == Entry(record_id, public_key, name, slow_box)
    assert secret_box.unseal(slow_box, unlocked, user, name) == secret
    assert (len(slow_box), len(slow)) == (4496, 4676) == (len(box), len(file))


@given(name=names)
@settings(deadline=None, max_examples=10)
def test_the_store_calls_its_files_alike(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory, unlocked = tmp_path_factory.mktemp("names") / "secrets", bytes(range(32))
    _, public_key = public_keys(unlocked)
    Secrets(directory, KEY).put(record_of(USER, RECORD_ID, public_key), name, b"open sesame")
    (path,) = directory.iterdir()
    box = reference_seal.find_box(path.read_bytes(), path.name, DEVICE_KEY, RECORD_ID, public_key, name)
    assert reference_seal.open_secret(box, unlocked, USER, name) == b"open sesame"


@given(parts=st.lists(st.binary(max_size=20), min_size=4, max_size=4), more=st.binary(max_size=12))
@settings(deadline=None)
@example([b"", b"", b"", b""], b"\0\0\0\0")
@example([b"a", b"b", b"c", b"d"], b"\0\1")
def test_both_take_the_same_for_padding(parts: list[bytes], more: bytes) -> None:
    framed = frame(*parts)
    assert padded.pack(len(framed) + 9, *parts) == reference_seal.pad(len(framed) + 9, framed)
    taken: list[list[bytes] | None] = []
    for read in (lambda data: padded.unpack(data, 4), reference_seal.parts):
        try:
            taken.append(read(framed + more))
        except (ValueError, RefusedError):
            taken.append(None)
    assert taken == [None if any(more) else parts] * 2


@given(at=st.integers(0, 4675), bit=st.integers(0, 7))
@settings(deadline=None)
def test_both_refuse_any_flipped_bit_for_the_same_reason(at: int, bit: int) -> None:
    vector = SEALED["valid"]
    file = flip(bytes.fromhex(vector.file), at, bit)
    with pytest.raises(SecretError) as error:
        peek(file, KEY, "secret x")
    with pytest.raises(RefusedError) as refused:
        reference_seal.find_box(
            file, vector.name, DEVICE_KEY, RECORD_ID, bytes.fromhex(vector.public_key), vector.secret_name
        )
    assert OUTCOMES[type(error.value)] == refused.value.reason
