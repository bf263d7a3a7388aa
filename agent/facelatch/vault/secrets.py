# SPDX-License-Identifier: Apache-2.0
"""The directory of sealed secrets: which there are, whose they are, and when they are forgotten.

A secret lives as long as the key that opens it. That key is wrapped in the user's record, so the record goes first,
removed or replaced in one durable step, and then what was sealed to its key: a power cut in between leaves files that
nobody can open and nobody is shown, and ``sweep`` removes them at the next start. The other order could leave an
enrolled user without some of their secrets.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from facelatch.errors import FacelatchError, StorageError
from facelatch.l2fe.framing import frame
from facelatch.vault import secret_box
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.files import (
    MissingFileError,
    make_private_directory,
    read_bounded,
    remove_durably,
    storage_error,
    sweep,
    write_durably,
)
from facelatch.vault.filesystem import OS, FileSystem
from facelatch.vault.record import Record
from facelatch.vault.secret_box import MAX_NAME_BYTES, MAX_SECRET_BYTES, SecretError, SecretMisplacedError
from facelatch.vault.secret_file import FILE_BYTES, Entry, encode, peek

MAX_SECRETS = 16
"""Most secrets a user may have."""

_SUFFIX = ".sec"
_NAME = re.compile(rf"[a-z0-9._-]{{1,{MAX_NAME_BYTES}}}")
_STEM_BYTES = 16


class SecretNameError(SecretError):
    """A secret may not be called that."""


class SecretSizeError(SecretError):
    """A secret is empty or too large."""


class TooManySecretsError(SecretError):
    """The user has as many secrets as one may have."""


class NoSuchSecretError(SecretError):
    """Nothing of that name is sealed to the user's key."""


class Swept(NamedTuple):
    """What ``sweep`` did.

    Attributes:
        removed: how many secrets were removed, since no living key opens them.
        faults: files that could not be judged, and were left.
    """

    removed: int
    faults: list[FacelatchError]


class Secrets:
    """Sealed secrets in files whose names tell neither user nor secret. Safe to call from several threads.

    The directory lies inside the records': so the lock of the record store covers it, and both are mounted, restored
    and lost together (``sweep`` would take records that are merely out of sight for users who are gone).

    Args:
        directory: made with mode 0700 if it is missing (its parent exists); else it must be ours and closed to others.
        device_key: hides names and contents on disk.
        fs: operations on the disk.

    Raises:
        StorageError: the directory is not private or cannot be used.
        DeviceKeyError: from any method, where the hardware that keeps the key does not answer.
    """

    def __init__(self, directory: Path, device_key: DeviceKey, *, fs: FileSystem = OS) -> None:
        self._directory = directory
        self._key = device_key
        self._fs = fs
        # Methods run on threads: without it, two that seal at once could pass the limit together.
        self._lock = threading.Lock()
        make_private_directory(directory, fs=fs)
        sweep(directory, fs=fs)

    @property
    def key_id(self) -> bytes:
        """Id of the device key that secrets are stored under."""
        return self._key.key_id

    def names(self, record: Record) -> list[str]:
        """Name the secrets of a user, in order. A file that cannot be read is left out; ``sweep`` reports it.

        Raises:
            StorageError: the directory cannot be read.
        """
        with self._lock:
            return self._names(record)

    def put(self, record: Record, name: str, secret: bytes) -> None:
        """Seal a secret to a user's face, durably, in place of an older one of that name. Needs no face.

        Raises:
            SecretNameError, SecretSizeError, TooManySecretsError: it may not be stored.
            StorageError: it is not stored, and what was there before still is; or, if only the last step failed, it is
                stored but a power cut may undo that.
        """
        _require_name(name)
        if not 0 < len(secret) <= MAX_SECRET_BYTES:
            raise SecretSizeError(f"the secret has {len(secret)} bytes", f"seal 1 to {MAX_SECRET_BYTES} bytes")
        public_key = record.helper.seal_key
        box = secret_box.seal(secret, public_key, record.header.user, name)
        entry = Entry(record.header.record_id, public_key, name, box)
        with self._lock:
            names = self._names(record)
            if name not in names and len(names) >= MAX_SECRETS:
                raise TooManySecretsError(f"{len(names)} secrets are sealed already", "forget one of them first")
            self._write(entry, self._key)

    def get(self, record: Record, name: str) -> bytes:
        """Return the box of a secret, for ``secret_box.unseal`` to open once the face gave S.

        Raises:
            SecretNameError: nothing can be called that.
            NoSuchSecretError: there is none, or only one for keys that the user no longer has.
            SecretError: the file is corrupt, of another version or device key, or holds another secret.
            StorageError: it cannot be read.
        """
        with self._lock:
            return self._find(record, name).box

    def forget(self, record: Record, name: str) -> None:
        """Remove a secret, durably. One that is damaged can be removed too.

        Raises:
            SecretNameError: nothing can be called that.
            NoSuchSecretError: there is none.
            StorageError: it could not be removed, or not durably.
        """
        _require_name(name)
        with self._lock:
            try:
                remove_durably(self._path(self._key, record.header.record_id, name), fs=self._fs)
            except MissingFileError:
                raise _no_such(name) from None

    def forget_all(self, record: Record) -> list[str]:
        """Remove every secret that is sealed to a record's key, durably; return their names, in order.

        To be called with a record that is removed or replaced already; what was sealed to its successor's key stays.

        Raises:
            StorageError: not all could be removed; ``sweep`` does it at the next start.
        """
        with self._lock:
            return sorted(entry.name for entry in self._remove(lambda entry: _is_of(entry, record), []))

    def sweep(self, living: Iterable[Record]) -> Swept:
        """Remove every secret that none of the living records' keys opens. To be called before anything is served.

        A file that is damaged, misplaced or of another device key may still be of use to someone: it is reported.

        Args:
            living: all records there are, not some of them.

        Raises:
            StorageError: the directory cannot be read, or a file not be removed.
        """
        keys = {record.header.record_id: record.helper.seal_key for record in living}
        faults: list[FacelatchError] = []
        with self._lock:
            removed = self._remove(lambda entry: keys.get(entry.record_id) != entry.public_key, faults)
        return Swept(len(removed), faults)

    def reseal(self, new: DeviceKey) -> int:
        """Move every secret from the present device key to a new one; return how many. Needs no face.

        None is removed before all are written. After an error or a power cut each is whole under the old key, the new,
        or both; calling this again, on a store opened with the old key, goes on. Until it has returned, both keys have
        to be kept and nothing may be sealed under the new one. Damaged files stay as they are.

        Raises:
            StorageError: a file cannot be read, written or removed.
            ValueError: it is the same key.
        """
        if new.key_id == self._key.key_id:
            raise ValueError("resealed under the same key, every secret would replace itself and then be removed")
        old = []
        with self._lock:
            for path, entry in self._entries([], strict=True):
                self._write(entry, new)
                old.append(path)
            for path in old:
                remove_durably(path, fs=self._fs)
            self._key = new
        return len(old)

    def _names(self, record: Record) -> list[str]:
        return sorted(entry.name for _, entry in self._entries([]) if _is_of(entry, record))

    def _find(self, record: Record, name: str) -> Entry:
        _require_name(name)
        try:
            entry = self._read(self._path(self._key, record.header.record_id, name))
        except MissingFileError:
            raise _no_such(name) from None
        if entry.public_key != record.helper.seal_key:
            raise _no_such(name)
        return entry

    def _remove(self, condemned: Callable[[Entry], bool], faults: list[FacelatchError]) -> list[Entry]:
        """Remove what is condemned; return what it was."""
        removed = []
        for path, entry in self._entries(faults):
            if condemned(entry):
                remove_durably(path, fs=self._fs)
                removed.append(entry)
        return removed

    def _write(self, entry: Entry, key: DeviceKey) -> None:
        write_durably(self._path(key, entry.record_id, entry.name), encode(entry, key), fs=self._fs)

    def _entries(self, faults: list[FacelatchError], *, strict: bool = False) -> Iterator[tuple[Path, Entry]]:
        """Give every secret with its file; ``strict`` raises where a file cannot be read, else it is one more fault."""
        try:
            paths = sorted(path for path in self._directory.iterdir() if path.suffix == _SUFFIX)
        except OSError as error:
            raise storage_error("read", self._directory, error) from error
        for path in paths:
            try:
                entry = self._read(path)
            except SecretError as fault:
                faults.append(fault)
            except StorageError as fault:
                if strict:
                    raise
                faults.append(fault)
            else:
                yield path, entry

    def _read(self, path: Path) -> Entry:
        entry = peek(read_bounded(path, FILE_BYTES), self._key, f"secret {path.stem}")
        if path != self._path(self._key, entry.record_id, entry.name):
            raise SecretMisplacedError(f"secret {path.stem} holds another secret", "remove the file and seal it again")
        return entry

    def _path(self, key: DeviceKey, record_id: bytes, name: str) -> Path:
        stem = hashlib.blake2b(frame(record_id, name.encode()), key=key.derive("secret-name"), digest_size=_STEM_BYTES)
        return self._directory / f"{stem.hexdigest()}{_SUFFIX}"


def _is_of(entry: Entry, record: Record) -> bool:
    return (entry.record_id, entry.public_key) == (record.header.record_id, record.helper.seal_key)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SecretNameError(
            f"{name!r} is not a name for a secret", f"use 1 to {MAX_NAME_BYTES} of a-z, 0-9, dot, underscore and hyphen"
        )


def _no_such(name: str) -> NoSuchSecretError:
    return NoSuchSecretError(f"no secret {name!r} is sealed for this user", "seal it first")
