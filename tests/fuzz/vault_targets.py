# SPDX-License-Identifier: Apache-2.0
"""Files of the vault: as a thief leaves them, and as a holder of the device key could write them.

An input stands for both: once it is the file, once it is what is inside the file's seal.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_box_SEALBYTES,
)
from nacl.exceptions import CryptoError
from nacl.public import SealedBox

from facelatch import parameters
from facelatch.daemon import replies
from facelatch.errors import DeviceKeyError, RecordError, StorageError
from facelatch.l2fe.framing import frame
from facelatch.l2fe.keys import NONCE_BYTES, TAG_BYTES, sealing_key
from facelatch.vault import record, secret_box, secret_file
from facelatch.vault.device_key import KEY_BYTES, HostFileKey
from facelatch.vault.key_ring import FileKeyRing, KeyRing
from facelatch.vault.lockout import DEVICE, SPOOF, Lockout, Wait
from facelatch.vault.secret_box import SecretError
from tests.fuzz.target import Target, require, scratch
from tests.in_process import VirtualClock

_VECTORS = Path(__file__).parents[1] / "vectors"
_KEY = HostFileKey(bytes(range(32)))
_NONCE = bytes(NONCE_BYTES)
_PREFIX_BYTES = 12
_BODY_AT = _PREFIX_BYTES + NONCE_BYTES
_UNLOCKED = bytes(range(64, 96))
_SEAL = SealedBox(sealing_key(_UNLOCKED).public_key)
_P = parameters.read("standard")
_ANNA = "0" * 32
# The longest wait of any subject, docs/threat-model.md.
_LONGEST_WAIT = 3600.0


def _sealed(prefix: bytes, plain: bytes, label: str) -> bytes:
    body = crypto_aead_xchacha20poly1305_ietf_encrypt(plain, prefix, _NONCE, _KEY.derive(label))
    return prefix + _NONCE + body


def _vectors(folder: str, label: str) -> list[bytes]:
    """What is in the files of the vectors that open, the sound one first, and all of the files."""
    paths = sorted((_VECTORS / folder).glob("*.json"), key=lambda path: (path.stem != "valid", path.stem))
    files = [bytes.fromhex(json.loads(path.read_text())["file"]) for path in paths]
    return [*_insides(files, label), *files]


def _insides(files: list[bytes], label: str) -> Iterator[bytes]:
    for file in files:
        prefix, nonce, body = file[:_PREFIX_BYTES], file[_PREFIX_BYTES:_BODY_AT], file[_BODY_AT:]
        try:
            yield crypto_aead_xchacha20poly1305_ietf_decrypt(body, prefix, nonce, _KEY.derive(label))
        except (CryptoError, ValueError):
            continue


def _record(data: bytes) -> None:
    record.sealed_under(data)
    inside = _sealed(record.MAGIC + b"\x01" + _KEY.key_id, data, "record")
    name = data[41:57].hex()  # where the header has the record's id
    for file in (data, inside):
        try:
            found = record.unseal(file, _KEY, name)
        except RecordError:
            continue
        if file is inside:
            # What is read is all that is there: nothing hides between the fields.
            require(
                record.seal(found, _KEY, lambda size: bytes(size)) == file, "a record is not written as it was read"
            )
        record.require_parameters(found, _P.digest, _P.lattice.modulus, _P.k)
        replies.user(found, None)


def _secret(data: bytes) -> None:
    """By its first byte an input stands for a file, or for what is in the box that only a face opens."""
    if data and data[0] % 2:
        _box(data)
    else:
        _secret_file(data)


def _secret_file(data: bytes) -> None:
    prefix = secret_file.MAGIC + b"\x01" + _KEY.key_id
    inside = _sealed(prefix, data.ljust(secret_file.FILE_BYTES - _BODY_AT - TAG_BYTES, b"\0"), "secret")
    for file in (data, inside):
        try:
            entry = secret_file.peek(file, _KEY, "secret")
        except SecretError:
            continue
        again = secret_file.encode(entry, _KEY, lambda size: bytes(size))
        require(again == file or file is data, "a secret is not written as it was read")


def _box(data: bytes) -> None:
    plain = data.ljust(secret_box.BOX_BYTES - crypto_box_SEALBYTES, b"\0")
    opened = secret_box.unseal(_SEAL.encrypt(plain), _UNLOCKED, "anna", "luks")
    require(0 < len(opened) <= secret_box.MAX_SECRET_BYTES, "a secret of no or too many bytes")


def _lockout(data: bytes) -> None:
    path = scratch() / "lockout"
    for file in (data, _sealed(b"FLL\x01" + _KEY.key_id, data, "lockout")):
        for boot in ("first", "second"):
            path.write_bytes(file)
            try:
                lockout = Lockout(path, KeyRing(_KEY), VirtualClock(boot))
            except StorageError:
                continue
            waits = [_seconds(lockout.wait(subject)) for subject in (_ANNA, DEVICE, SPOOF)]
            require(all(wait <= _LONGEST_WAIT or wait == math.inf for wait in waits), "a wait that is longer than any")
            lockout.charge(_ANNA)
            require(_seconds(lockout.wait(_ANNA)) >= waits[0], "a failure makes a wait shorter")


def _seconds(wait: Wait | None) -> float:
    if wait is None:
        return 0.0
    return math.inf if wait.seconds is None else wait.seconds


def _device_key(data: bytes) -> None:
    path = scratch() / "device.key"
    path.write_bytes(data)
    path.chmod(0o600)
    key = FileKeyRing(path, HostFileKey).newest
    require(len(data) == KEY_BYTES and any(data), "a key of the wrong size, or of zeros")
    require(key.key_id == HostFileKey(data).key_id, "another key than the file's")


def _boxes() -> list[bytes]:
    """What is in boxes: a sound one, and those of another name and of nothing."""
    named = ((b"luks", b"open sesame"), (b"wifi", b"x"), (b"luks", b""))
    return [frame(b"facelatch-seal-v1", b"anna", name, secret) for name, secret in named]


def _lockout_seeds() -> list[bytes]:
    counts = {_ANNA: {"failures": 6, "until": 160.0}, DEVICE: {"failures": 1, "until": 100}}
    states = [{"boot": boot, "counts": found} for boot in ("first", "second") for found in (counts, {})]
    plains = [json.dumps(state).encode() for state in states]
    return [*plains, _sealed(b"FLL\x01" + _KEY.key_id, plains[0], "lockout")]


TARGETS = (
    Target(
        "record",
        "vault.record",
        _record,
        (RecordError,),
        lambda: _vectors("record", "record"),
        (record.MAGIC, _KEY.key_id, _P.digest, b"anna"),
        1024,
    ),
    Target(
        "secret",
        "vault.secret_file",
        _secret,
        (SecretError,),
        lambda: [*_vectors("seal", "secret"), *_boxes()],
        (secret_file.MAGIC, _KEY.key_id, b"facelatch-seal-v1", b"anna", b"luks"),
        secret_file.FILE_BYTES + 1,
    ),
    Target(
        "lockout",
        "vault.lockout",
        _lockout,
        (StorageError,),
        _lockout_seeds,
        (b"FLL\x01", _KEY.key_id, b'"failures":', b'"until":', b'"counts":', b'"boot":', _ANNA.encode(), b"1e400"),
        1024,
    ),
    Target(
        "device-key",
        "vault.device_key",
        _device_key,
        (DeviceKeyError, StorageError),
        lambda: [bytes(range(32)), bytes(32), b"", bytes(33), bytes(range(1, 32))],
        max_bytes=64,
    ),
)
