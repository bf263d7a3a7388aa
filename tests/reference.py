# SPDX-License-Identifier: Apache-2.0
"""The cryptography of Facelatch a second time, plain and slow, written from docs/crypto.md alone.

Nothing here imports the product: where the two disagree, one of them or the document is wrong. Speed and hygiene
(wiping, constant time) are the product's affair; this is for reading beside the document. The lattice half is
reference_lattice, sealed secrets are reference_seal.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from nacl import bindings, exceptions

from tests.reference_lattice import (
    Parameters,
    Reason,
    RefusedError,
    Vector,
    centred,
    dot,
    nearest_point,
    need,
    rotation,
    times,
    transposed,
)

Random = Callable[[int], bytes]

HEADER: Final = struct.Struct("<B32s8s16sIB")
ACCOUNT: Final = struct.Struct("<BQHQ")
KEYS: Final = struct.Struct("<32s16s32s32sH")
WRAPPED_SIZE: Final = 24 + 48
DAY: Final = 24 * 60 * 60 * 1_000_000


# --- framing and keyed derivations


def frame(*parts: bytes) -> bytes:
    """Join parts, each behind its length as u32."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)


def u16(values: list[int]) -> bytes:
    """Values as little-endian u16."""
    return struct.pack(f"<{len(values)}H", *values)


def blake2b(key: bytes, data: bytes, person: bytes = b"") -> bytes:
    """Keyed BLAKE2b with a digest of 32 bytes."""
    return hashlib.blake2b(data, key=key, person=person, digest_size=32).digest()


def kdf(key: bytes, label: str) -> bytes:
    """The document's KDF."""
    need(32 <= len(key) <= 64 and label != "", "key or label", Reason.KEY)
    return blake2b(key, label.encode(), b"facelatch/kdf/1")


def key_id(device_key: bytes) -> bytes:
    """Which device key a file belongs to."""
    return kdf(device_key, "key-id")[:8]


def device_id(device_key: bytes) -> bytes:
    """The device's name in signatures."""
    return kdf(device_key, "device-id")[:16]


def seal_box(key: bytes, nonce: bytes, text: bytes, data: bytes) -> bytes:
    """XChaCha20-Poly1305, the tag behind the text."""
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(text, data, nonce, key)


def open_box(key: bytes, nonce: bytes, text: bytes, data: bytes, reason: Reason = Reason.CORRUPT) -> bytes:
    """The inverse; a wrong tag is refused for the reason given."""
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(text, data, nonce, key)
    except exceptions.CryptoError:
        raise RefusedError(reason, "tag") from None


# --- the record


@dataclass(frozen=True)
class Record:
    """The plain record, field by field."""

    parameters: bytes
    key_id: bytes
    record_id: bytes
    generation: int
    user: str
    flags: int
    enrolled: int
    refreshes: int
    refreshed: int
    seed: bytes
    salt: bytes
    wrapped: bytes
    ed25519: bytes
    x25519: bytes
    c: list[int]
    pepper: bytes = b""

    def header(self) -> bytes:
        """What it is of."""
        user = self.user.encode()
        return HEADER.pack(1, self.parameters, self.key_id, self.record_id, self.generation, len(user)) + user

    def bound(self) -> bytes:
        """All that `wrapped` is bound to: everything but itself, and the pepper."""
        account = ACCOUNT.pack(self.flags, self.enrolled, self.refreshes, self.refreshed)
        made = KEYS.pack(self.seed, self.salt, self.ed25519, self.x25519, len(self.c))
        return self.header() + account + made + u16(self.c)

    def plain(self) -> bytes:
        """All of it."""
        return self.bound() + self.wrapped + self.pepper


def parse_plain(plain: bytes) -> Record:
    """Read a plain record; whether c fits its parameter set comes later."""
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        need(at <= len(plain), "a field is too short")
        return plain[at - size : at]

    version, parameters, key, record_id, generation, length = HEADER.unpack(take(HEADER.size))
    need(version == 1, "another version than the prefix")
    try:
        user = take(length).decode()
    except UnicodeDecodeError:
        raise RefusedError(Reason.CORRUPT, "user") from None
    flags, enrolled, refreshes, refreshed = ACCOUNT.unpack(take(ACCOUNT.size))
    need(flags & ~1 == 0, "unknown flags")
    seed, salt, ed25519, x25519, k = KEYS.unpack(take(KEYS.size))
    c = list(struct.unpack(f"<{k}H", take(2 * k)))
    wrapped = take(WRAPPED_SIZE)
    pepper = plain[at:]
    need(len(pepper) in (0, 32), "a tail that is no pepper")
    header = parameters, key, record_id, generation, user
    account = flags, enrolled, refreshes, refreshed
    return Record(*header, *account, seed, salt, wrapped, ed25519, x25519, c, pepper)


def seal_plain(plain: bytes, device_key: bytes, nonce: bytes) -> bytes:
    """A file around any plain bytes."""
    prefix = b"FLR" + b"\x01" + key_id(device_key)
    return prefix + nonce + seal_box(kdf(device_key, "record"), nonce, plain, prefix)


def open_plain(file: bytes, device_key: bytes) -> bytes:
    """The plain bytes of a file."""
    need(len(file) >= 12 + 24 + 16 and file[:3] == b"FLR", "short, or not a record")
    need(file[3] == 1, "version", Reason.VERSION)
    need(file[4:12] == key_id(device_key), "key id", Reason.DEVICE_KEY)
    return open_box(kdf(device_key, "record"), file[12:36], file[36:], file[:12])


def open_record(file: bytes, record_id: bytes, device_key: bytes, p: Parameters) -> Record:
    """Open the file called `<record_id in hex>.rec`."""
    record = parse_plain(open_plain(file, device_key))
    need(record.record_id == record_id, "holds another record")
    need(record.pepper != b"" or record.key_id == file[4:12], "made under another key, and no pepper")
    need(record.parameters == p.digest, "parameters", Reason.PARAMETERS)
    need(len(record.c) == p.k and max(record.c) < p.modulus, "c")
    return record


def rekey(record: Record, old: bytes) -> Record:
    """The record to seal under a new device key: it takes the pepper of the key that it was made under along."""
    return replace(record, pepper=record.pepper or kdf(old, "pepper"))


# --- Gen and Rep


@dataclass(frozen=True)
class Opened:
    """What enrolment makes and a matching face recovers."""

    point: list[int]
    stretched: bytes
    big_s: bytes


def stretch(p: Parameters, device_key: bytes, record: Record, point: list[int]) -> bytes:
    """The stretched key of a guess."""
    data = frame(b"facelatch/l2fe/1", p.digest, record.user.encode(), record.record_id, record.seed, u16(point))
    pepper = record.pepper or kdf(device_key, "pepper")
    return argon2id(blake2b(pepper, data), record.salt, p.passes, p.memory_kib)


@lru_cache(maxsize=256)
def argon2id(password: bytes, salt: bytes, passes: int, memory_kib: int) -> bytes:
    """Argon2id, one lane."""
    algorithm = bindings.crypto_pwhash_ALG_ARGON2ID13
    return bindings.crypto_pwhash_alg(32, password, salt, passes, memory_kib * 1024, algorithm)


def public_keys(big_s: bytes) -> tuple[bytes, bytes]:
    """The Ed25519 and the X25519 public key of S."""
    ed25519, _ = bindings.crypto_sign_seed_keypair(kdf(big_s, "sign"))
    return ed25519, bindings.crypto_scalarmult_base(kdf(big_s, "seal"))


def usable(x: Vector, p: Parameters) -> Vector:
    """X, unless it is no embedding."""
    finite = len(x) == len(p.mean) and all(map(math.isfinite, x))
    need(finite and abs(math.sqrt(dot(x, x)) - 1) <= 1e-3 and min(x) < max(x), "x", Reason.FACE)
    return x


def in_lattice_units(p: Parameters, seed: bytes, y: Vector) -> Vector:
    """D U y."""
    return [p.scale * value for value in times(rotation(seed, p.k), y)]


def gen(
    p: Parameters,
    device_key: bytes,
    x: Vector,
    user: str,
    record_id: bytes,
    now: int,
    random: Random,
    before: Record | None = None,
) -> tuple[Record, Opened]:
    """Enrol, for the first time or in place of the record before. Randomness is drawn in the document's order."""
    seed = before.seed if before else random(32)
    generation = before.generation + 1 if before else 0
    point = p.point([value % p.modulus for (value,) in struct.iter_unpack("<H", random(2 * p.k))])
    w = [round(value) for value in in_lattice_units(p, seed, p.face(usable(x, p)))]
    c = [(a + b) % p.modulus for a, b in zip(point, w, strict=True)]
    salt = random(16)
    big_s = random(32)
    ed25519, x25519 = public_keys(big_s)
    header = p.digest, key_id(device_key), record_id, generation, user
    record = Record(*header, 0, now, 0, 0, seed, salt, b"", ed25519, x25519, c)
    stretched = stretch(p, device_key, record, point)
    return replace(record, wrapped=wrap(record, stretched, big_s, random(24))), Opened(point, stretched, big_s)


def wrap(record: Record, stretched: bytes, big_s: bytes, nonce: bytes) -> bytes:
    """S under the stretched key, bound to the rest of the record."""
    return nonce + seal_box(kdf(stretched, "wrap"), nonce, big_s, record.bound())


def unwrap(record: Record, stretched: bytes) -> bytes:
    """S, if this is the stretched key of the record."""
    nonce, text = record.wrapped[:24], record.wrapped[24:]
    return open_box(kdf(stretched, "wrap"), nonce, text, record.bound(), Reason.NO_MATCH)


def rep(p: Parameters, device_key: bytes, x: Vector, record: Record, within: float | None = None) -> Opened:
    """Recover S from a face of one user: of the points near t, only the nearest is tried."""
    radius = p.radius(1) if within is None else within
    shift = in_lattice_units(p, record.seed, p.expected(p.face(usable(x, p))))
    t = [a - b for a, b in zip(record.c, shift, strict=True)]
    near = nearest_point(p, t, radius * p.scale)
    if near is None:
        raise RefusedError(Reason.NO_MATCH, "nothing near")
    point = [value % p.modulus for value in near]
    stretched = stretch(p, device_key, record, point)
    return Opened(point, stretched, unwrap(record, stretched))


# --- signature


def statement(device_key: bytes, user: str, audience: str, peer_uid: int, time: int, challenge: bytes) -> bytes:
    """What is signed; time in microseconds."""
    need(16 <= len(challenge) <= 64, "challenge")
    numbers = struct.pack("<I", peer_uid), struct.pack("<Q", time)
    return frame(b"facelatch-verify-v1", device_id(device_key), user.encode(), audience.encode(), *numbers, challenge)


def sign(big_s: bytes, message: bytes) -> bytes:
    """The 64 bytes of the signature alone."""
    _, secret = bindings.crypto_sign_seed_keypair(kdf(big_s, "sign"))
    return bindings.crypto_sign(message, secret)[:64]


# --- refresh


def enrolled_face(p: Parameters, record: Record, point: list[int]) -> Vector:
    """Y = U^T w / D."""
    w = [float(centred(a - b, p.modulus)) for a, b in zip(record.c, point, strict=True)]
    return [value / p.scale for value in times(transposed(rotation(record.seed, p.k)), w)]


def refresh(p: Parameters, record: Record, opened: Opened, fresh: Vector, now: int, random: Random) -> Record | None:
    """The record moved towards a fresh y', or None where it stays. Switched on, and live: the caller knows."""
    enrolled = enrolled_face(p, record, opened.point)
    e = [a - b for a, b in zip(fresh, enrolled, strict=True)]
    length = math.sqrt(dot(e, e))
    since = now - max(record.refreshed, record.enrolled)
    if length == 0 or length > 0.8 * p.accept_radius or since < DAY or record.refreshes >= 8:
        return None
    factor = min(0.25 * length, 0.5) / length
    move = [round(value) for value in in_lattice_units(p, record.seed, [factor * value for value in e])]
    c = [(a + b) % p.modulus for a, b in zip(record.c, move, strict=True)]
    moved = replace(record, c=c, generation=record.generation + 1, refreshes=record.refreshes + 1, refreshed=now)
    return replace(moved, wrapped=wrap(moved, opened.stretched, opened.big_s, random(24)))
