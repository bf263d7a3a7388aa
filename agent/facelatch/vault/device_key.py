# SPDX-License-Identifier: Apache-2.0
"""The key that ties records to this device.

Everything else derives what it needs by label, so a provider whose key never leaves its hardware fits behind the same
protocol.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Protocol, Self

from facelatch.errors import DeviceKeyError, StorageError
from facelatch.l2fe.kdf import kdf
from facelatch.vault.files import FileExistsAlreadyError, MissingFileError, read_bounded, write_durably
from facelatch.vault.filesystem import OS, FileSystem

KEY_BYTES = 32
KEY_ID_BYTES = 8
"""Enough to tell keys apart, and too little to be of use to anyone."""


class DeviceKey(Protocol):
    """A device key, wherever it is kept."""

    @property
    def provider(self) -> str:
        """Where it is kept, for ``status`` and ``doctor``."""

    @property
    def weak(self) -> bool:
        """Whether it lies on the same card as the records, so that a stolen card gives both."""

    @property
    def key_id(self) -> bytes:
        """8 bytes that name the key in records; they tell nothing about it."""

    def derive(self, label: str) -> bytes:
        """Return the 32-byte key for a purpose.

        Raises:
            DeviceKeyError: the hardware that keeps the key does not answer.
            ValueError: the label is empty.
        """


class HostFileKey:
    """A device key in a file: weak, since the file lies on the card."""

    provider = "host-file"
    weak = True

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = kdf(key, "key-id")[:KEY_ID_BYTES]

    def derive(self, label: str) -> bytes:
        """Return the 32-byte key for a purpose.

        Raises:
            ValueError: the label is empty.
        """
        return kdf(self._key, label)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the key from a file of exactly 32 bytes that is ours and closed to others.

        Raises:
            DeviceKeyError: there is no such file, or it is not one to trust.
        """
        try:
            key = read_bounded(path, KEY_BYTES, private=True)
        except MissingFileError as error:
            raise DeviceKeyError(
                f"device key {path} does not exist",
                "restore it from a backup; without it the stored records are lost and users must enrol again",
            ) from error
        except StorageError as error:
            raise DeviceKeyError(f"device key: {error.problem}", error.remedy) from error
        if len(key) != KEY_BYTES or not any(key):
            raise DeviceKeyError(
                f"device key {path} is damaged",
                "restore it from a backup, or remove it and enrol all users again",
            )
        return cls(key)

    @classmethod
    def create(cls, path: Path, *, fs: FileSystem = OS) -> Self:
        """Make a random key and store it durably with mode 0600. An existing file is never replaced.

        Raises:
            DeviceKeyError: the file exists already or cannot be written.
        """
        key = secrets.token_bytes(KEY_BYTES)
        try:
            write_durably(path, key, 0o600, replace=False, fs=fs)
        except FileExistsAlreadyError as error:
            raise DeviceKeyError(
                f"device key {path} exists already", "use it: a new key would make the records unreadable"
            ) from error
        except StorageError as error:
            raise DeviceKeyError(f"device key: {error.problem}", error.remedy) from error
        return cls(key)
