# SPDX-License-Identifier: Apache-2.0
"""The sealed secret as bytes: whole, or refused for the right reason; its size tells nothing."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.public import PrivateKey, SealedBox

from facelatch.l2fe.framing import frame
from facelatch.l2fe.keys import sealing_key
from facelatch.vault import padded, secret_box
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.secret_box import BOX_BYTES, SecretCorruptError, SecretError, SecretMisplacedError
from facelatch.vault.secret_file import FILE_BYTES, Entry, SecretKeyError, SecretVersionError, encode, peek

KEY = HostFileKey(bytes(range(32)))
OTHER_KEY = HostFileKey(bytes(range(1, 33)))
S = b"S" * 32
OTHER_S = b"T" * 32
PUBLIC = sealing_key(S).public_key.encode()
SECRET = b"correct horse battery staple"
BOX = secret_box.seal(SECRET, PUBLIC, "anna", "keyring")
ENTRY = Entry(bytes(range(16)), PUBLIC, "keyring", BOX)
FILE = encode(ENTRY, KEY)

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=64)
users = st.text(min_size=1, max_size=63)  # at most four bytes each
contents = st.binary(min_size=1, max_size=200) | st.binary(min_size=4090, max_size=4096)


@given(secret=contents, user=users, name=names)
def test_what_is_sealed_comes_back_whole(secret: bytes, user: str, name: str) -> None:
    box = secret_box.seal(secret, PUBLIC, user, name)
    entry = Entry(b"r" * 16, PUBLIC, name, box)
    data = encode(entry, KEY)
    assert (len(box), len(data)) == (BOX_BYTES, FILE_BYTES)
    assert peek(data, KEY, "secret x") == entry
    assert secret_box.unseal(box, S, user, name) == secret


def test_the_longest_of_everything_fits_and_no_more() -> None:
    assert secret_box.unseal(secret_box.seal(b"s" * 4096, PUBLIC, "u" * 255, "n" * 64), S, "u" * 255, "n" * 64)
    for secret, user, name in [(b"s" * 4097, "u", "n"), (b"s", "ü" * 128, "n"), (b"s", "u", "n" * 65)]:
        with pytest.raises(ValueError, match="at most"):
            secret_box.seal(secret, PUBLIC, user, name)


def test_the_bytes_are_those_that_crypto_md_specifies() -> None:
    # Read again from docs/crypto.md alone, with nothing of ours.
    def kdf(label: bytes) -> bytes:
        return hashlib.blake2b(label, key=bytes(range(32)), digest_size=32, person=b"facelatch/kdf/1").digest()

    def part(data: bytes) -> bytes:
        return struct.pack("<I", len(data)) + data

    prefix = b"FLS\x01" + kdf(b"key-id")[:8]
    assert FILE[:12] == prefix
    plain = crypto_aead_xchacha20poly1305_ietf_decrypt(FILE[36:], prefix, FILE[12:36], kdf(b"secret"))
    head = part(bytes(range(16))) + part(PUBLIC) + part(b"keyring")
    size = len(plain)
    assert plain.startswith(head + struct.pack("<I", 4496))
    assert size == 4624
    box = plain[len(head) + 4 :][:4496]
    assert not any(plain[len(head) + 4 + 4496 :])
    opened = SealedBox(PrivateKey(hashlib.blake2b(b"seal", key=S, digest_size=32, person=b"facelatch/kdf/1").digest()))
    inside = b"".join(part(each) for each in (b"facelatch-seal-v1", b"anna", b"keyring", SECRET))
    assert opened.decrypt(box) == inside + bytes(4448 - len(inside))


def test_nothing_but_magic_version_and_key_id_is_readable() -> None:
    again = encode(ENTRY, KEY)
    assert FILE[:12] == again[:12] == b"FLS\x01" + KEY.key_id
    assert sum(a == b for a, b in zip(FILE[12:], again[12:], strict=True)) < 60  # 18 by chance
    for hidden in (b"anna", b"keyring", SECRET, PUBLIC, ENTRY.record_id, BOX[:16]):
        assert hidden not in FILE
    for hidden in (b"anna", b"keyring", SECRET):
        assert hidden not in BOX


@given(position=st.integers(0, len(FILE) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_in_a_file_is_refused(position: int, bit: int) -> None:
    with pytest.raises(SecretError, match="secret x"):
        peek(flipped(FILE, position, bit), KEY, "secret x")


@given(position=st.integers(0, len(BOX) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_in_a_box_is_refused(position: int, bit: int) -> None:
    with pytest.raises(SecretCorruptError, match="'keyring' is damaged"):
        secret_box.unseal(flipped(BOX, position, bit), S, "anna", "keyring")


def flipped(data: bytes, position: int, bit: int) -> bytes:
    altered = bytearray(data)
    altered[position] ^= 1 << bit
    return bytes(altered)


@given(length=st.integers(0, len(FILE) - 1))
def test_any_truncation_is_refused_as_such(length: int) -> None:
    with pytest.raises(SecretCorruptError, match="secret x is truncated"):
        peek(FILE[:length], KEY, "secret x")


@given(length=st.integers(0, len(BOX) - 1))
def test_any_truncated_box_is_refused(length: int) -> None:
    with pytest.raises(SecretCorruptError):
        secret_box.unseal(BOX[:length], S, "anna", "keyring")


def test_an_extension_is_refused() -> None:
    with pytest.raises(SecretCorruptError, match="extended"):
        peek(FILE + b"\0", KEY, "secret x")


@given(data=st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: FILE[:40] + tail))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    with pytest.raises(SecretError):
        peek(data, KEY, "secret x")
    with pytest.raises(SecretError):
        secret_box.unseal(data, S, "anna", "keyring")


def test_another_device_key_is_named_as_such_and_not_called_corrupt() -> None:
    with pytest.raises(SecretKeyError, match="secret x belongs to another device key: restore that key"):
        peek(FILE, OTHER_KEY, "secret x")


def test_a_device_key_with_a_forged_id_opens_nothing() -> None:
    with pytest.raises(SecretCorruptError, match="is altered"):
        peek(FILE[:4] + OTHER_KEY.key_id + FILE[12:], OTHER_KEY, "secret x")


def test_another_version_is_named_as_such() -> None:
    with pytest.raises(SecretVersionError, match="has format 2, this version reads 1: update"):
        peek(b"FLS\x02" + FILE[4:], KEY, "secret x")


def test_a_record_is_not_a_secret() -> None:
    with pytest.raises(SecretCorruptError, match="is not a sealed secret"):
        peek(b"FLR" + FILE[3:], KEY, "secret x")


def test_another_face_opens_nothing() -> None:
    with pytest.raises(SecretCorruptError, match="sealed to other keys: forget it and seal it again"):
        secret_box.unseal(BOX, OTHER_S, "anna", "keyring")


@pytest.mark.parametrize(("user", "name"), [("bert", "keyring"), ("anna", "disk"), ("annak", "eyring"), ("", "")])
def test_a_secret_of_another_user_or_name_is_refused(user: str, name: str) -> None:
    with pytest.raises(SecretMisplacedError, match="is another one"):
        secret_box.unseal(BOX, S, user, name)


def test_a_box_made_for_another_purpose_is_refused() -> None:
    seal = SealedBox(sealing_key(S).public_key).encrypt
    size = BOX_BYTES - 48
    with pytest.raises(SecretMisplacedError):
        secret_box.unseal(
            seal(padded.pack(size, b"facelatch-seal-v2", b"anna", b"keyring", SECRET)), S, "anna", "keyring"
        )
    # Parts without their fill, or with a fill that says something.
    full = padded.pack(size, b"facelatch-seal-v1", b"anna", b"keyring", SECRET)
    with pytest.raises(SecretCorruptError):
        secret_box.unseal(seal(full[:-1] + b"\1"), S, "anna", "keyring")


@pytest.mark.parametrize(
    ("size", "secret"),
    [
        (BOX_BYTES - 48, b""),
        (BOX_BYTES - 48 + 4097, b"s" * 4097),
        (BOX_BYTES - 48 - 1, SECRET),
        (BOX_BYTES - 48 + 1, SECRET),
    ],
    ids=["empty", "too-long", "small-box", "large-box"],
)
def test_a_whole_box_of_a_size_that_sealing_never_gives_is_refused(size: int, secret: bytes) -> None:
    """Whoever has the public key, and the device's, can make one."""
    plain = padded.pack(size, b"facelatch-seal-v1", b"anna", b"keyring", secret)
    with pytest.raises(SecretCorruptError):
        secret_box.unseal(SealedBox(sealing_key(S).public_key).encrypt(plain), S, "anna", "keyring")


def test_an_error_shows_nothing_of_the_secret() -> None:
    for shown in (repr(ENTRY), repr(replace(ENTRY, name="x"))):
        assert "box" not in shown


@given(parts=st.lists(st.binary(max_size=20), min_size=1, max_size=5), spare=st.integers(0, 50))
def test_packed_parts_come_back(parts: list[bytes], spare: int) -> None:
    packed = padded.pack(len(frame(*parts)) + spare, *parts)
    assert padded.unpack(packed, len(parts)) == parts
    with pytest.raises(ValueError, match="do not fit"):
        padded.pack(len(frame(*parts)) - 1, *parts)


@given(data=st.binary(max_size=60), count=st.integers(1, 4))
def test_whatever_unpacks_is_what_those_parts_pack_to(data: bytes, count: int) -> None:
    try:
        parts = padded.unpack(data, count)
    except ValueError:
        return
    assert padded.pack(len(data), *parts) == data


def test_a_part_that_is_cut_off_is_refused() -> None:
    for data in (b"", b"\3\0\0\0ab", b"\xff\xff\xff\xff", b"\1\0\0\0a\0\0"):
        with pytest.raises(ValueError, match=r"too short|not packed"):
            padded.unpack(data, 2)
