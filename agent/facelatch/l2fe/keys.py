# SPDX-License-Identifier: Apache-2.0
"""The keys that hang from a reproduced s.

s -> (with the device's pepper) Argon2id -> unwraps S -> Ed25519 signing key and X25519 sealing key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from nacl.pwhash import argon2id
from nacl.signing import SigningKey

from facelatch.l2fe.framing import frame
from facelatch.l2fe.kdf import kdf

SECRET_BYTES = 32
SALT_BYTES = int(argon2id.SALTBYTES)
NONCE_BYTES = 24
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + SECRET_BYTES + TAG_BYTES
_CONTEXT = b"facelatch/l2fe/1"


@dataclass(frozen=True)
class Argon2idCost:
    """What one guess costs: RFC 9106's passes t and memory m, with one lane as libsodium has it."""

    passes: int
    memory_kib: int


# RFC 9106's second recommendation. A parameter set that asks less would make guessing cheap, and is refused.
ARGON2ID_FLOOR = Argon2idCost(passes=3, memory_kib=64 * 1024)


def stretch(s: bytes, *, pepper: bytes, binding: tuple[bytes, ...], salt: bytes, cost: Argon2idCost) -> bytes:
    """Turn a candidate s into the 32-byte key that S is wrapped under; about 0.2 s and ``cost.memory_kib``.

    Args:
        s: the candidate as u16 little-endian.
        pepper: 32 bytes from the device key: without the device there is nothing to guess at.
        binding: what the key belongs to (parameter set, user, record, rotation seed).
        salt: 16 bytes, the record's own.
        cost: from the parameter set.
    """
    password = hashlib.blake2b(frame(_CONTEXT, *binding, s), key=pepper, digest_size=32).digest()
    stretched: bytes = argon2id.kdf(32, password, salt, opslimit=cost.passes, memlimit=cost.memory_kib * 1024)
    return stretched


def wrap(secret: bytes, stretched: bytes, nonce: bytes, bound: bytes) -> bytes:
    """Encrypt S under the stretched key, bound to the rest of the record; 24 bytes nonce, then XChaCha20-Poly1305."""
    key = kdf(stretched, "wrap")
    return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(secret, bound, nonce, key)


def unwrap(wrapped: bytes, stretched: bytes, bound: bytes) -> bytes | None:
    """Return S, or None when the tag says that this is not the key. The tag is the only verifier of a match."""
    nonce, ciphertext = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
    try:
        secret: bytes = crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, bound, nonce, kdf(stretched, "wrap"))
    except CryptoError:
        return None
    return secret


def signing_key(secret: bytes) -> SigningKey:
    """Return the user's Ed25519 key."""
    return SigningKey(kdf(secret, "sign"))


def sealing_key(secret: bytes) -> PrivateKey:
    """Return the user's X25519 key."""
    return PrivateKey(kdf(secret, "seal"))
