# SPDX-License-Identifier: Apache-2.0
"""The device key in use and, while a renewal is under way, the one that follows it."""

from __future__ import annotations

import os
from pathlib import Path

from facelatch.errors import DeviceKeyError
from facelatch.vault.device_key import DeviceKey, FileKey
from facelatch.vault.files import storage_error
from facelatch.vault.filesystem import OS, FileSystem


class KeyRing:
    """Every device key that a record may be sealed under, so that renewing it can stop anywhere and go on later.

    Renewing: ``begin_rotation()``; seal every record under ``next``, one by one; ``finish_rotation()``. After a power
    cut ``next`` is there again, and the same three steps finish the work. This one has a key that the agent cannot
    renew.

    Attributes:
        current: the key before a renewal, and the only one while there is none.
        next: the key after it, or None.
    """

    def __init__(self, current: DeviceKey) -> None:
        self.current = current
        self.next: DeviceKey | None = None

    @property
    def newest(self) -> DeviceKey:
        """The key to seal under."""
        return self.next or self.current

    def find(self, key_id: bytes) -> DeviceKey | None:
        """Return the key of that id, or None."""
        return next((key for key in (self.current, self.next) if key is not None and key.key_id == key_id), None)

    def begin_rotation(self) -> DeviceKey:
        """Return ``next``, made durably unless an earlier call has made it: from now on records may be sealed under it.

        Raises:
            DeviceKeyError: it cannot be made; the ring is as it was.
        """
        raise self._fixed()

    def finish_rotation(self) -> None:
        """Put ``next`` in the place of ``current``, durably. No record may be sealed under ``current`` any more.

        Raises:
            DeviceKeyError: it failed; the ring is as it was, and this may be called again.
        """
        raise self._fixed()

    def _fixed(self) -> DeviceKeyError:
        return DeviceKeyError(
            f"the agent cannot renew a device key of provider {self.current.provider!r}",
            "seal a new credential with `systemd-creds encrypt` and enrol all users again",
        )


class FileKeyRing(KeyRing):
    """A key in a file; the one that follows it is in a second file beside it until it takes the first one's name.

    Flash keeps what was overwritten: the old file's bytes may still be read from the card by someone who has it.

    Args:
        path: the key's file.
        kind: what the file's bytes are.
        fs: operations on the disk.

    Raises:
        DeviceKeyError: a key cannot be loaded.
    """

    def __init__(self, path: Path, kind: type[FileKey], *, fs: FileSystem = OS) -> None:
        super().__init__(kind.load(path))
        self._path = path
        self._next_path = next_path(path)
        self._kind = kind
        self._fs = fs
        if os.path.lexists(self._next_path):
            self.next = kind.load(self._next_path)

    def begin_rotation(self) -> DeviceKey:
        """As ``KeyRing``."""
        if os.path.lexists(self._next_path):
            key = self._kind.load(self._next_path)
            # Whoever made the file may have been stopped just before this.
            self._sync()
        else:
            key = self._kind.create(self._next_path, fs=self._fs)
        self.next = key
        return key

    def finish_rotation(self) -> None:
        """As ``KeyRing``."""
        if self.next is None:
            raise DeviceKeyError("there is no new device key to finish with", "begin the renewal first")
        try:
            self._fs.rename(self._next_path, self._path)
        except FileNotFoundError:
            pass  # an earlier call got as far as this
        except OSError as error:
            raise self._failed(error) from error
        if self._kind.load(self._path).key_id != self.next.key_id:
            raise DeviceKeyError(
                f"the new device key {self._next_path} is gone",
                "restore that file from a backup; users whose records need it must enrol again without it",
            )
        self._sync()
        self.current, self.next = self.next, None

    def _sync(self) -> None:
        try:
            self._fs.sync_directory(self._path.parent)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> DeviceKeyError:
        fault = storage_error("write", self._path, error)
        return DeviceKeyError(f"device key: {fault.problem}", fault.remedy)


def next_path(path: Path) -> Path:
    """Return the path of the key that follows the one in a file."""
    return path.with_name(f"{path.name}.next")
