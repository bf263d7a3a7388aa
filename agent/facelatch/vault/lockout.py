# SPDX-License-Identifier: Apache-2.0
"""How often guessing has failed, and how long that makes the next guess wait.

Counted per record for attempts that name a user, and for the device as a whole for attempts that name nobody: strangers
at a door slow it down, but never lock its owner out. Time is that since boot, suspend included, so setting the
clock gains nothing; after a reboot a wait that was running starts again in full, so neither does pulling the plug.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt, crypto_aead_xchacha20poly1305_ietf_encrypt
from nacl.exceptions import CryptoError
from nacl.utils import random

from facelatch.errors import StorageError
from facelatch.l2fe.keys import NONCE_BYTES
from facelatch.vault.device_key import KEY_ID_BYTES, DeviceKey
from facelatch.vault.files import MissingFileError, read_bounded, write_durably
from facelatch.vault.filesystem import OS, FileSystem
from facelatch.vault.key_ring import KeyRing

DEVICE = "device"
"""Subject of attempts that name nobody."""

SPOOF = "spoof"
"""Subject of attempts that showed a picture of a face, whomever they named."""

FREE_FAILURES = 5
"""Failures in a row that cost nothing but their count (NIST SP 800-63B, Android CDD 7.3.10)."""

MAX_FAILURES = 50
"""From here the face is off for a user until another way in, or an administrator, resets it (NIST SP 800-63B)."""

_FIRST_WAIT = 30.0
# An hour keeps 50 guesses busy for two days, and is as long as an owner who mistrusts their camera should wait.
_LONGEST_WAIT = 3600.0
# A door that strangers try all day still opens for its owner within half a minute.
_FIRST_DEVICE_WAIT = 2.0
_LONGEST_DEVICE_WAIT = 30.0
# Whoever holds pictures up in a loop gets a dozen tries an hour; whoever did so at the owner's door costs the owner
# five minutes of face unlock, and no more.
_LONGEST_SPOOF_WAIT = 300.0
_WAITS = {DEVICE: (_FIRST_DEVICE_WAIT, _LONGEST_DEVICE_WAIT), SPOOF: (_FIRST_WAIT, _LONGEST_SPOOF_WAIT)}

_MAGIC = b"FLL\x01"
# 1024 records of some 60 bytes each.
_MAX_BYTES = 128 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Time since boot, and which boot that is."""

    def boot(self) -> str:
        """Name this boot; a name that differs from the last means that the time began anew."""

    def now(self) -> float:
        """Seconds since boot, suspend included; never set back."""


class BootClock:
    """The kernel's."""

    def boot(self) -> str:
        """Give the kernel's boot id; where it is hidden, every start of the agent counts as a boot."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return random(16).hex()

    def now(self) -> float:
        """Give CLOCK_BOOTTIME."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class _Count(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Failures in a row, and until when (seconds since boot) the next attempt waits."""

    failures: Annotated[int, Meta(ge=1, le=MAX_FAILURES)]
    until: float


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    boot: str
    counts: dict[str, _Count]


@dataclass(frozen=True)
class Wait:
    """What an attempt must wait: seconds, or for another way in when they are None."""

    seconds: float | None


class Lockout:
    """The counts, in memory and on disk; every change is on disk before it is acted on.

    Safe to use from several threads.

    Args:
        path: the state file; made at the first failure.
        ring: the device keys that it may be encrypted under, since it tells who was tried.
        clock: a virtual one in tests.
        fs: operations on the disk.

    Raises:
        StorageError: the file is damaged, of another device key, or cannot be read.
    """

    def __init__(self, path: Path, ring: KeyRing, clock: Clock, *, fs: FileSystem = OS) -> None:
        self._path = path
        self._key = ring.newest
        self._clock = clock
        self._fs = fs
        self._lock = threading.Lock()
        self._boot = clock.boot()
        self._counts = self._load(ring)

    def wait(self, subject: str) -> Wait | None:
        """Say what an attempt of that subject (a record id, ``DEVICE`` or ``SPOOF``) must wait for, or None."""
        # Without the lock, which is held while something is written: the counts are only ever exchanged as a whole.
        count = self._counts.get(subject)
        if count is None:
            return None
        if subject not in _WAITS and count.failures >= MAX_FAILURES:
            return Wait(None)
        left = count.until - self._clock.now()
        return Wait(left) if left > 0 else None

    def charge(self, subject: str) -> None:
        """Count a failure before it is known to be one, durably.

        Raises:
            StorageError: it could not be stored; there must be no verdict then.
        """
        with self._lock:
            before = self._counts.get(subject)
            failures = min((before.failures if before else 0) + 1, MAX_FAILURES)
            self._store(subject, _Count(failures, self._clock.now() + delay(subject, failures)))

    def reset(self, subject: str) -> None:
        """Forget a subject's failures: after a match, another way in, or a removal.

        Raises:
            StorageError: it could not be stored, and the failures still count.
        """
        with self._lock:
            if subject in self._counts:
                self._store(subject, None)

    def move(self, key: DeviceKey) -> None:
        """Encrypt the counts under a new device key, durably.

        Raises:
            StorageError: they are not.
        """
        with self._lock:
            self._key = key
            if self._counts:
                self._write(self._counts)

    def _store(self, subject: str, count: _Count | None) -> None:
        counts = {name: kept for name, kept in self._counts.items() if name != subject}
        if count is not None:
            counts[subject] = count
        self._write(counts)
        self._counts = counts

    def _write(self, counts: dict[str, _Count]) -> None:
        plain = msgspec.json.encode(_State(self._boot, counts))
        prefix, nonce = _MAGIC + self._key.key_id, random(NONCE_BYTES)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(plain, prefix, nonce, self._key.derive("lockout"))
        write_durably(self._path, prefix + nonce + sealed, fs=self._fs)

    def _load(self, ring: KeyRing) -> dict[str, _Count]:
        try:
            data = read_bounded(self._path, _MAX_BYTES)
        except MissingFileError:
            return {}
        key = ring.find(data[len(_MAGIC) :][:KEY_ID_BYTES])
        state = None if key is None else _open(data, key)
        if state is None:
            raise StorageError(
                f"lockout state {self._path} is damaged or of another device key",
                "remove the file; failed attempts are then counted anew",
            )
        now = self._clock.now()
        counts = {name: _Count(c.failures, now + delay(name, c.failures)) for name, c in state.counts.items()}
        if state.boot == self._boot:
            # None waits longer than its failures call for, whatever is written there.
            return {name: min(c, counts[name], key=lambda count: count.until) for name, c in state.counts.items()}
        # Written at once, so that the waits run on from here when only the agent is started again.
        self._write(counts)
        return counts


def _open(data: bytes, key: DeviceKey) -> _State | None:
    prefix = _MAGIC + key.key_id
    nonce, sealed = data[len(prefix) :][:NONCE_BYTES], data[len(prefix) + NONCE_BYTES :]
    if not data.startswith(prefix):
        return None
    try:
        plain = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, prefix, nonce, key.derive("lockout"))
        return msgspec.json.decode(plain, type=_State)
    except (CryptoError, ValueError):
        return None


def delay(subject: str, failures: int) -> float:
    """Seconds to wait after that many failures in a row: none, then doubling up to a longest."""
    if failures < FREE_FAILURES:
        return 0.0
    first, longest = _WAITS.get(subject, (_FIRST_WAIT, _LONGEST_WAIT))
    doublings: int = failures - FREE_FAILURES
    return min(first * 2.0**doublings, longest)
