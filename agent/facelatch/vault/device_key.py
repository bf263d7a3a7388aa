# SPDX-License-Identifier: Apache-2.0
"""The key that ties records to this device, and the plainest way to keep it.

Everything else derives what it needs by label, so wherever the key is kept, it looks the same from outside.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar, Protocol, Self

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


class HeldKey:
    """A device key that is in this process's memory once it was fetched.

    Args:
        key: 32 bytes.
    """

    provider: ClassVar[str]
    weak: ClassVar[bool]

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = kdf(key, "key-id")[:KEY_ID_BYTES]

    def derive(self, label: str) -> bytes:
        """Return the 32-byte key for a purpose.

        Raises:
            ValueError: the label is empty.
        """
        return kdf(self._key, label)


class FileKey(HeldKey):
    """A device key that is made from 32 random bytes in a file of ours, closed to others."""

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Make the key from the file's bytes.

        Raises:
            DeviceKeyError: the hardware that takes part does not answer.
        """
        return cls(secret)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file: exactly 32 bytes, ours and closed to others.

        Raises:
            DeviceKeyError: there is no such file, or it is not one to trust; or as ``from_secret``.
        """
        try:
            secret = read_bounded(path, KEY_BYTES, private=True)
        except MissingFileError as error:
            raise DeviceKeyError(
                f"device key {path} does not exist",
                "restore it from a backup; without it the stored records are lost and users must enrol again",
            ) from error
        except StorageError as error:
            raise DeviceKeyError(f"device key: {error.problem}", error.remedy) from error
        return cls.from_secret(require_key(secret, path))

    @classmethod
    def create(cls, path: Path, *, fs: FileSystem = OS) -> Self:
        """Make a random key and store its file durably with mode 0600. An existing file is never replaced.

        Raises:
            DeviceKeyError: the file exists already or cannot be written; or as ``from_secret``, and nothing is written.
        """
        secret = secrets.token_bytes(KEY_BYTES)
        key = cls.from_secret(secret)
        try:
            write_durably(path, secret, 0o600, replace=False, fs=fs)
        except FileExistsAlreadyError as error:
            raise DeviceKeyError(
                f"device key {path} exists already", "use it: a new key would make the records unreadable"
            ) from error
        except StorageError as error:
            raise DeviceKeyError(f"device key: {error.problem}", error.remedy) from error
        return key


class HostFileKey(FileKey):
    """The file's bytes are the key: weak, since the file lies on the card."""

    provider = "host-file"
    weak = True


def require_key(data: bytes, path: Path) -> bytes:
    """Check that what was read from a file can be a key, and return it.

    Raises:
        DeviceKeyError: it has another size than a key, or is all zeros as after a power cut on a bad card.
    """
    if len(data) != KEY_BYTES or not any(data):
        raise DeviceKeyError(
            f"device key {path} is damaged", "restore it from a backup, or remove it and enrol all users again"
        )
    return data
