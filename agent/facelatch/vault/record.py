# SPDX-License-Identifier: Apache-2.0
"""One user's record, and its sealed form on disk (docs/crypto.md, "Record").

On disk only a magic, the format version and the id of the device key are readable; all else, the user's name included,
is inside an AEAD under a key derived from the device key.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from facelatch.errors import RecordCorruptError, RecordKeyError, RecordParameterError, RecordVersionError
from facelatch.l2fe.extractor import Context, HelperData, Sketch
from facelatch.l2fe.keys import NONCE_BYTES, SALT_BYTES, TAG_BYTES, WRAPPED_BYTES
from facelatch.l2fe.rotation import SEED_BYTES
from facelatch.vault.device_key import DeviceKey

MAGIC = b"FLR"
VERSION = 1
RECORD_ID_BYTES = 16
# As long as Linux lets a login name be (LOGIN_NAME_MAX is 256 with its terminator).
MAX_USER_BYTES = 255

_DIGEST_BYTES = 32
_KEY_ID_BYTES = 8
_PUBLIC_KEY_BYTES = 32
_PEPPER_BYTES = 32
_PREFIX = struct.Struct(f"<3sB{_KEY_ID_BYTES}s")
_HEADER = struct.Struct(f"<B{_DIGEST_BYTES}s{_KEY_ID_BYTES}s{RECORD_ID_BYTES}sIB")
_ACCOUNT = struct.Struct("<BQHQ")
_ADMINISTRATOR = 0x01
# An agent that does not start cannot be asked to remove the user.
_REMEDY = "remove its file and enrol again"


@dataclass(frozen=True)
class Header:
    """What a record is of; bound to the wrapped secret, so that no part of it can be exchanged.

    Attributes:
        parameter_set: sha256 of the parameter set's file, 32 bytes.
        key_id: 8 bytes, of the device key it was made under.
        record_id: 16 random bytes.
        generation: 0 at enrolment, one more at each refresh.
        user: the user's name.
    """

    parameter_set: bytes
    key_id: bytes
    record_id: bytes
    generation: int
    user: str

    def encode(self) -> bytes:
        """Return the header's bytes as they stand at the start of the record."""
        user = self.user.encode()
        fixed = _HEADER.pack(VERSION, self.parameter_set, self.key_id, self.record_id, self.generation, len(user))
        return fixed + user


@dataclass(frozen=True)
class Account:
    """What is known of a user besides their face; bound to the wrapped secret like the header.

    Attributes:
        administrator: whether this user may manage others.
        enrolled_usec: time of enrolment, microseconds since the epoch.
        refreshes: how often the sketch was moved since that enrolment.
        refreshed_usec: when it was last, 0 for never.
    """

    administrator: bool
    enrolled_usec: int
    refreshes: int = 0
    refreshed_usec: int = 0

    def encode(self) -> bytes:
        """Return the account's bytes as they stand behind the header."""
        flags = _ADMINISTRATOR if self.administrator else 0
        return _ACCOUNT.pack(flags, self.enrolled_usec, self.refreshes, self.refreshed_usec)


@dataclass(frozen=True)
class Record:
    """A user's record in the clear; lives in the daemon's memory only.

    Attributes:
        header: what it is of.
        account: what is known of the user.
        helper: the helper data.
        pepper: 32 bytes, the pepper of the device key it was made under, once it is sealed under a later one.
    """

    header: Header
    account: Account
    helper: HelperData
    pepper: bytes | None = None

    def context(self, device_key: DeviceKey) -> Context:
        """Return what this record's key is bound to on the device with that key."""
        return bind(self.header, self.account, self.pepper or device_key.derive("pepper"))


def bind(header: Header, account: Account, pepper: bytes) -> Context:
    """Return what a key made under this header and account is bound to."""
    return Context(
        pepper=pepper,
        user=header.user.encode(),
        record_id=header.record_id,
        header=header.encode() + account.encode(),
    )


def rekeyed(record: Record, old: DeviceKey) -> Record:
    """Return the record ready to be sealed under another device key than the one it was opened with.

    Its key still hangs on the pepper it was made with, which only the face could change; so that goes along.
    """
    return replace(record, pepper=record.pepper or old.derive("pepper"))


def seal(record: Record, device_key: DeviceKey, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the record as it goes to disk."""
    prefix = _PREFIX.pack(MAGIC, VERSION, device_key.key_id)
    nonce = random(NONCE_BYTES)
    key = device_key.derive("record")
    return prefix + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(_encode(record), prefix, nonce, key)


def unseal(data: bytes, device_key: DeviceKey, name: str) -> Record:
    """Open a record from disk.

    Args:
        data: the sealed bytes.
        device_key: this device's key.
        name: the record's id (hex) as the store has it; the sealed id must be the same, so files cannot be exchanged.

    Raises:
        RecordCorruptError, RecordVersionError, RecordKeyError: each names the record.
    """
    what = f"record {name}"
    if len(data) < _PREFIX.size + NONCE_BYTES + TAG_BYTES:
        raise RecordCorruptError(f"{what} is truncated", _REMEDY)
    magic, version, key_id = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise RecordCorruptError(f"{what} is not a record", "remove the file")
    if version != VERSION:
        raise RecordVersionError(f"{what} has format {version}, this version reads {VERSION}", "update facelatch")
    if key_id != device_key.key_id:
        raise RecordKeyError(
            f"{what} belongs to another device key", "restore that key, or remove its file and enrol again"
        )
    prefix, nonce, sealed = data[: _PREFIX.size], data[_PREFIX.size :][:NONCE_BYTES], data[_PREFIX.size + NONCE_BYTES :]
    try:
        plain = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, prefix, nonce, device_key.derive("record"))
        record = _decode(plain)
    except (CryptoError, ValueError, struct.error) as error:
        raise RecordCorruptError(f"{what} is truncated or altered", _REMEDY) from error
    made_here = record.pepper is not None or record.header.key_id == key_id
    if record.header.record_id.hex() != name or not made_here:
        raise RecordCorruptError(f"{what} holds another record", _REMEDY)
    return record


def sealed_under(data: bytes) -> bytes | None:
    """Return the id of the device key that a sealed record names, or None where it is too short to name one."""
    return bytes(_PREFIX.unpack_from(data)[2]) if len(data) >= _PREFIX.size else None


def require_parameters(record: Record, digest: bytes, modulus: int, k: int) -> None:
    """Check that a record was made under the parameter set in use.

    Raises:
        RecordParameterError: it was made under another.
        RecordCorruptError: it names this one, but its sketch does not fit it.
    """
    name = record.header.record_id.hex()
    if record.header.parameter_set != digest:
        raise RecordParameterError(f"record {name} was made under another parameter set", _REMEDY)
    c = record.helper.sketch.c
    if c.shape != (k,) or int(c.max()) >= modulus:
        raise RecordCorruptError(f"record {name} does not fit its parameter set", _REMEDY)


def _encode(record: Record) -> bytes:
    bound = record.helper.bound(record.header.encode() + record.account.encode())
    return bound + record.helper.wrapped + (record.pepper or b"")


def _decode(plain: bytes) -> Record:
    reader = _Reader(plain)
    version, parameter_set, key_id, record_id, generation, length = _HEADER.unpack(reader.take(_HEADER.size))
    if version != VERSION:
        raise ValueError("version inside and outside differ")
    header = Header(parameter_set, key_id, record_id, generation, reader.take(length).decode())
    flags, enrolled_usec, refreshes, refreshed_usec = _ACCOUNT.unpack(reader.take(_ACCOUNT.size))
    if flags & ~_ADMINISTRATOR:
        raise ValueError("unknown flags")
    account = Account(bool(flags & _ADMINISTRATOR), enrolled_usec, refreshes, refreshed_usec)
    seed, salt = reader.take(SEED_BYTES), reader.take(SALT_BYTES)
    verify_key, seal_key = reader.take(_PUBLIC_KEY_BYTES), reader.take(_PUBLIC_KEY_BYTES)
    count = int.from_bytes(reader.take(2), "little")
    c = np.frombuffer(reader.take(2 * count), dtype="<u2").astype(np.int64)
    wrapped, pepper = reader.take(WRAPPED_BYTES), reader.rest()
    if len(pepper) not in (0, _PEPPER_BYTES):
        raise ValueError("neither a pepper nor nothing at the end")
    helper = HelperData(Sketch(seed, c), salt, wrapped, verify_key, seal_key)
    return Record(header, account, helper, pepper or None)


class _Reader:
    """Takes fields off a byte string and refuses to run over its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def take(self, size: int) -> bytes:
        if len(self._data) < size:
            raise ValueError("too short")
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))
