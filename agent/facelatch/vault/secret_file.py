# SPDX-License-Identifier: Apache-2.0
"""The form of a sealed secret on disk (docs/crypto.md, "Seal").

As with records, only a magic, the format version and the id of the device key are readable, and all files have the
same size: whose secret it is, what it is called and how long it is are inside an AEAD under a key derived from the
device key. Inside it the secret is sealed again, to the user's face.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from facelatch.l2fe.framing import frame
from facelatch.l2fe.keys import NONCE_BYTES, TAG_BYTES
from facelatch.vault import padded
from facelatch.vault.device_key import KEY_ID_BYTES, DeviceKey
from facelatch.vault.record import RECORD_ID_BYTES
from facelatch.vault.secret_box import BOX_BYTES, MAX_NAME_BYTES, SecretCorruptError, SecretError

MAGIC = b"FLS"
VERSION = 1

_PUBLIC_KEY_BYTES = 32
_PREFIX = struct.Struct(f"<3sB{KEY_ID_BYTES}s")
_PLAIN_BYTES = len(frame(bytes(RECORD_ID_BYTES), bytes(_PUBLIC_KEY_BYTES), bytes(MAX_NAME_BYTES), bytes(BOX_BYTES)))
FILE_BYTES = _PREFIX.size + NONCE_BYTES + _PLAIN_BYTES + TAG_BYTES
_REMEDY = "remove the file and seal the secret again"


class SecretVersionError(SecretError):
    """The secret was written by another version of the format."""


class SecretKeyError(SecretError):
    """The secret is whole as far as can be told, but belongs to another device key."""


@dataclass(frozen=True)
class Entry:
    """What a file holds, as far as it can be known without a face.

    Attributes:
        record_id: of the record that it was sealed for, 16 bytes.
        public_key: the X25519 key that it is sealed to; re-enrolment gives the same record another one.
        name: the secret's name.
        box: the sealed secret.
    """

    record_id: bytes
    public_key: bytes
    name: str
    box: bytes = field(repr=False)


def encode(entry: Entry, device_key: DeviceKey, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the file that holds an entry; always ``FILE_BYTES``.

    Raises:
        DeviceKeyError: the hardware that keeps the key does not answer.
        ValueError: the name is too long.
    """
    prefix = _PREFIX.pack(MAGIC, VERSION, device_key.key_id)
    nonce = random(NONCE_BYTES)
    plain = padded.pack(_PLAIN_BYTES, entry.record_id, entry.public_key, entry.name.encode(), entry.box)
    key = device_key.derive("secret")
    return prefix + nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, prefix, nonce, key)


def peek(data: bytes, device_key: DeviceKey, what: str) -> Entry:
    """Tell what a file holds; needs no face. That it is in its right place is for the caller to check.

    Args:
        data: the file.
        device_key: this device's key.
        what: names the file in errors, such as "secret 0123".

    Raises:
        SecretCorruptError, SecretVersionError, SecretKeyError: each names the file.
        DeviceKeyError: the hardware that keeps the key does not answer.
    """
    if len(data) < _PREFIX.size:
        raise SecretCorruptError(f"{what} is truncated", _REMEDY)
    magic, version, key_id = _PREFIX.unpack_from(data)
    if magic != MAGIC:
        raise SecretCorruptError(f"{what} is not a sealed secret", "remove the file")
    if version != VERSION:
        raise SecretVersionError(f"{what} has format {version}, this version reads {VERSION}", "update facelatch")
    if len(data) != FILE_BYTES:
        raise SecretCorruptError(f"{what} is truncated or extended", _REMEDY)
    if key_id != device_key.key_id:
        raise SecretKeyError(f"{what} belongs to another device key", f"restore that key, or {_REMEDY}")
    prefix, nonce, sealed = data[: _PREFIX.size], data[_PREFIX.size :][:NONCE_BYTES], data[_PREFIX.size + NONCE_BYTES :]
    try:
        plain = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, prefix, nonce, device_key.derive("secret"))
        record_id, public_key, name, box = padded.unpack(plain, 4)
        return Entry(record_id, public_key, name.decode(), box)
    except (CryptoError, ValueError) as error:
        raise SecretCorruptError(f"{what} is altered", _REMEDY) from error
