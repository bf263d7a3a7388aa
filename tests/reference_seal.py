# SPDX-License-Identifier: Apache-2.0
"""Sealed secrets a second time, written from docs/crypto.md ("Seal") alone. The rest is tests/reference.py."""

import hashlib
import re
import struct
from typing import Final

from nacl import bindings, exceptions

from tests.reference import frame, kdf, key_id, open_box, seal_box
from tests.reference_lattice import Reason, RefusedError, need

CONTEXT: Final = b"facelatch-seal-v1"
BOX_PLAIN: Final = 4448
PLAIN: Final = 4624
FILE: Final = 4676
NAME: Final = re.compile(r"[a-z0-9._-]{1,64}")


def pad(size: int, data: bytes) -> bytes:
    """Zeros up to a size."""
    need(len(data) <= size, "does not fit")
    return data + bytes(size - len(data))


def parts(data: bytes) -> list[bytes]:
    """The four parts of a padded frame, if nothing but zeros is behind them."""
    found: list[bytes] = []
    for _ in range(4):
        need(len(data) >= 4, "no length")
        (length,) = struct.unpack_from("<I", data)
        need(len(data) >= 4 + length, "a part is cut off")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    need(not any(data), "no zeros")
    return found


def sealed_box(public_key: bytes, text: bytes, ephemeral: bytes) -> bytes:
    """Libsodium's sealed box, for a given ephemeral secret key."""
    own = bindings.crypto_scalarmult_base(ephemeral)
    nonce = hashlib.blake2b(own + public_key, digest_size=24).digest()
    return own + bindings.crypto_box(text, nonce, public_key, ephemeral)


def make_box(public_key: bytes, user: str, name: str, secret: bytes, ephemeral: bytes) -> bytes:
    """The box of a secret."""
    need(1 <= len(secret) <= 4096 and NAME.fullmatch(name) is not None, "secret or name")
    return sealed_box(public_key, pad(BOX_PLAIN, frame(CONTEXT, user.encode(), name.encode(), secret)), ephemeral)


def seal_plain(plain: bytes, device_key: bytes, nonce: bytes) -> bytes:
    """A file around any plain bytes."""
    prefix = b"FLS" + b"\x01" + key_id(device_key)
    return prefix + nonce + seal_box(kdf(device_key, "secret"), nonce, plain, prefix)


def make_file(device_key: bytes, record_id: bytes, public_key: bytes, name: str, box: bytes, nonce: bytes) -> bytes:
    """The file of a box."""
    return seal_plain(pad(PLAIN, frame(record_id, public_key, name.encode(), box)), device_key, nonce)


def file_name(device_key: bytes, record_id: bytes, name: bytes) -> str:
    """What the file is called."""
    key = kdf(device_key, "secret-name")
    return hashlib.blake2b(frame(record_id, name), key=key, digest_size=16).hexdigest() + ".sec"


def find_box(file: bytes, called: str, device_key: bytes, record_id: bytes, public_key: bytes, name: str) -> bytes:
    """The box of a file, if it is that of this record and name."""
    need(called == file_name(device_key, record_id, name.encode()), "no file of that name", Reason.MISSING)
    need(len(file) >= 12 and file[:3] == b"FLS", "short, or not a sealed secret")
    need(file[3] == 1, "version", Reason.VERSION)
    need(len(file) == FILE, "size")
    need(file[4:12] == key_id(device_key), "key id", Reason.DEVICE_KEY)
    inside_id, inside_key, inside_name, box = parts(
        open_box(kdf(device_key, "secret"), file[12:36], file[36:], file[:12])
    )
    need(file_name(device_key, inside_id, inside_name) == called, "file name", Reason.MISPLACED)
    need(inside_key == public_key, "public key", Reason.MISSING)
    return box


def open_secret(box: bytes, big_s: bytes, user: str, name: str) -> bytes:
    """The secret, if it was sealed to these keys for this user under this name."""
    private = kdf(big_s, "seal")
    try:
        text = bindings.crypto_box_seal_open(box, bindings.crypto_scalarmult_base(private), private)
    except (exceptions.CryptoError, exceptions.TypeError, exceptions.ValueError):
        raise RefusedError(Reason.CORRUPT, "box") from None
    context, inside_user, inside_name, secret = parts(text)
    asked = [CONTEXT, user.encode(), name.encode()]
    need([context, inside_user, inside_name] == asked, "another secret inside", Reason.MISPLACED)
    return secret
