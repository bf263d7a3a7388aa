# SPDX-License-Identifier: Apache-2.0
"""The directory of sealed records. What is in a record, and how it is sealed, is not known here."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from facelatch.errors import StorageError
from facelatch.vault.files import (
    make_private_directory,
    no_parent,
    read_bounded,
    remove_durably,
    require_private,
    storage_error,
    sweep,
    write_durably,
)
from facelatch.vault.filesystem import OS, FileSystem

MAX_RECORD_BYTES = 16 * 2**10
"""Largest record: about ten times what one needs, so that a damaged card cannot fill the memory."""

MAX_RECORDS = 1024
"""Most records: far more people than one device can tell apart."""

_LOCK_NAME = ".lock"
_SUFFIX = ".rec"
RECORD_NAME = re.compile(r"[0-9a-f]{32}")


class Contents(NamedTuple):
    """What a store holds.

    Attributes:
        records: record id -> sealed bytes.
        faults: what could not be read; one file's fault hides no other file.
    """

    records: dict[str, bytes]
    faults: list[StorageError]


class Store:
    """Sealed records in files named by record id, never by user.

    Opening takes the directory for this process until ``close()`` and sweeps what a power cut left.

    Args:
        directory: made with mode 0700 if it is missing (its parent exists); else it must be ours and closed to others.
        fs: operations on the disk.

    Raises:
        StorageError: the directory is not private, is used by another agent, or cannot be used.
    """

    def __init__(self, directory: Path, *, fs: FileSystem = OS) -> None:
        self._directory = directory
        self._fs = fs
        make_private_directory(directory, fs=fs)
        self._lock: int | None = _lock_directory(directory)
        try:
            sweep(directory, fs=fs)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()

    def close(self) -> None:
        """Let another agent have the directory. Closing twice does nothing."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def read_all(self) -> Contents:
        """Read every record.

        Raises:
            StorageError: the directory itself cannot be read.
        """
        contents = Contents({}, [])
        for path in self._files():
            try:
                data = _read(path)
            except StorageError as fault:
                contents.faults.append(fault)
                continue
            if len(contents.records) < MAX_RECORDS:
                contents.records[path.stem] = data
            else:
                contents.faults.append(StorageError(f"{path} is a record too many", "remove some users"))
        return contents

    def put(self, record_id: str, data: bytes) -> None:
        """Add a record or replace it, durably.

        Args:
            record_id: 32 lower-case hexadecimal digits.
            data: at most ``MAX_RECORD_BYTES``.

        Raises:
            StorageError: it is not stored, and what was there before still is; or, if only the last step failed, it is
                stored but a power cut may undo that.
        """
        path = self._path(record_id)
        if len(data) > MAX_RECORD_BYTES:
            raise StorageError(
                f"a record of {len(data)} bytes is larger than {MAX_RECORD_BYTES}", "report this as a bug"
            )
        files = self._files()
        if path not in files and len(files) >= MAX_RECORDS:
            raise StorageError(f"{self._directory} holds {len(files)} records already", "remove some users")
        # A record that was not there before is not to be there after a failure: nobody would know of it.
        write_durably(path, data, replace=path in files, fs=self._fs)

    def holds(self, record_id: str, data: bytes) -> bool:
        """Tell whether that is what is stored there, as far as it can be read."""
        try:
            return _read(self._path(record_id)) == data
        except StorageError:
            return False

    def remove(self, record_id: str) -> None:
        """Remove a record, durably.

        Raises:
            MissingFileError: there is none, durably.
            StorageError: it could not be removed, or not durably.
        """
        remove_durably(self._path(record_id), fs=self._fs)

    def _path(self, record_id: str) -> Path:
        if self._lock is None:
            raise StorageError(f"{self._directory} is closed", "report this as a bug")
        if not RECORD_NAME.fullmatch(record_id):
            raise StorageError(f"{record_id!r} is not a record id", "report this as a bug")
        return self._directory / f"{record_id}{_SUFFIX}"

    def _files(self) -> list[Path]:
        if self._lock is None:
            raise StorageError(f"{self._directory} is closed", "report this as a bug")
        try:
            return sorted(path for path in self._directory.iterdir() if path.suffix == _SUFFIX)
        except OSError as error:
            raise storage_error("read", self._directory, error) from error


def _read(path: Path) -> bytes:
    if not RECORD_NAME.fullmatch(path.stem):
        raise StorageError(f"{path} is not named like a record", "remove it, or restore its name")
    return read_bounded(path, MAX_RECORD_BYTES)


def require_usable(directory: Path) -> None:
    """See that a store could be opened in a directory, or made, and change nothing.

    Raises:
        StorageError: it is not private, or its parent does not exist.
    """
    try:
        require_private(directory, directory.stat())
    except FileNotFoundError as error:
        if not directory.parent.is_dir():
            raise no_parent(directory) from error
    except OSError as error:
        raise storage_error("use", directory, error) from error


def _lock_directory(directory: Path) -> int:
    """Return the descriptor whose lock keeps other agents out of the directory."""
    path = directory / _LOCK_NAME
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_error("use", path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno == errno.EWOULDBLOCK:
            raise StorageError(f"{directory} is in use by another agent", "stop that one first") from error
        raise storage_error("lock", path, error) from error
    return lock
