# SPDX-License-Identifier: Apache-2.0
"""Wycheproof's vectors for XChaCha20-Poly1305, through what wraps S; all else is sealed by the same function."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from facelatch.l2fe import keys
from facelatch.vault import lockout, record, secret_file

FILE = Path(__file__).parents[1] / "wycheproof" / "xchacha20_poly1305_test.json"
SHA256 = "a79de072571b90eb40c3a63ce0c7f75dcb4b62323c8870228e1f61dcc61d63a9"
DECRYPT = "crypto_aead_xchacha20poly1305_ietf_decrypt"
ENCRYPT = "crypto_aead_xchacha20poly1305_ietf_encrypt"


class Vector(msgspec.Struct, frozen=True, rename="camel"):
    """One vector, as far as it is of use here; bytes in hexadecimal digits."""

    tc_id: int
    flags: list[str]
    key: str
    iv: str
    aad: str
    msg: str
    ct: str
    tag: str
    result: str


class Group(msgspec.Struct, frozen=True):
    """Vectors of one size of nonce."""

    tests: list[Vector]


class Vectors(msgspec.Struct, frozen=True, rename="camel"):
    """The file."""

    algorithm: str
    number_of_tests: int
    test_groups: list[Group]


READ = msgspec.json.decode(FILE.read_bytes(), type=Vectors)
VECTORS = [vector for group in READ.test_groups for vector in group.tests]


def failures(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Run every vector through wrap and unwrap, under its own key; return those that do not come out as they are to."""
    monkeypatch.setattr(keys, "kdf", lambda key, _: key)
    return [vector.tc_id for vector in VECTORS if not holds(vector)]


def holds(vector: Vector) -> bool:
    key, nonce, bound, plain, ciphertext, tag = (
        bytes.fromhex(text) for text in (vector.key, vector.iv, vector.aad, vector.msg, vector.ct, vector.tag)
    )
    try:
        opened = keys.unwrap(nonce + ciphertext + tag, key, bound)
    except (TypeError, ValueError):  # too short to have a nonce
        opened = None
    if vector.result != "valid":
        return opened is None
    return opened == plain and keys.wrap(plain, key, nonce, bound) == nonce + ciphertext + tag


def test_every_vector_comes_out_as_it_is_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == SHA256
    assert (READ.algorithm, len(VECTORS)) == ("XCHACHA20-POLY1305", READ.number_of_tests)
    results = Counter(vector.result for vector in VECTORS)
    assert results.keys() == {"valid", "invalid"}
    assert min(results.values()) > 50
    assert failures(monkeypatch) == []


def test_all_that_is_sealed_is_sealed_by_the_same_function() -> None:
    for module in (keys, record, secret_file, lockout):
        assert getattr(module, DECRYPT) is crypto_aead_xchacha20poly1305_ietf_decrypt
        assert getattr(module, ENCRYPT) is crypto_aead_xchacha20poly1305_ietf_encrypt


def half_a_tag(ciphertext: bytes, bound: bytes, nonce: bytes, key: bytes) -> bytes:
    """Look at the first half of the tag only."""
    body, tag = ciphertext[: -keys.TAG_BYTES], ciphertext[-keys.TAG_BYTES :]
    # The cipher adds the same stream both ways.
    plain = crypto_aead_xchacha20poly1305_ietf_encrypt(body, bound, nonce, key)[: -keys.TAG_BYTES]
    again = crypto_aead_xchacha20poly1305_ietf_encrypt(plain, bound, nonce, key)[-keys.TAG_BYTES :]
    if again[:8] != tag[:8]:
        raise CryptoError("another tag")
    return bytes(plain)


def without_bound(ciphertext: bytes, _: bytes, nonce: bytes, key: bytes) -> bytes:
    """Forget what the ciphertext is bound to."""
    return bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(ciphertext, b"", nonce, key))


@pytest.mark.parametrize("wrong", [half_a_tag, without_bound])
def test_a_wrong_cipher_is_caught(monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., bytes]) -> None:
    monkeypatch.setattr(keys, DECRYPT, wrong)
    assert failures(monkeypatch) != []
