# SPDX-License-Identifier: Apache-2.0
"""What root has put the device into: armed, set-up, or neither; a file beside the records.

No method of the socket changes it, and no button but to "disarmed": whoever stands at the door cannot take it over.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from facelatch.errors import StorageError
from facelatch.vault.files import MissingFileError, read_bounded, remove_durably, storage_error, write_durably
from facelatch.vault.filesystem import OS, FileSystem

_NAME = "door"
_MAX_BYTES = 16


class Mode(StrEnum):
    """How the device is."""

    DISARMED = "disarmed"
    """The latch stays locked, and nobody is enrolled at the button unless an administrator has unlocked before."""

    SET_UP = "set-up"
    """The latch stays locked, and whoever holds the button is enrolled."""

    ARMED = "armed"
    """The latch opens for a face."""


def read_mode(state: Path) -> Mode:
    """Tell how the device is; where that cannot be read it is disarmed.

    Args:
        state: the directory of the records.
    """
    with suppress(StorageError, ValueError):
        return Mode(read_bounded(state / _NAME, _MAX_BYTES).decode("ascii").strip())
    return Mode.DISARMED


def write_mode(state: Path, mode: Mode, *, fs: FileSystem = OS) -> None:
    """Change how the device is, durably.

    Raises:
        StorageError: it stays as it was; or, if only the last step failed, it is changed but a power cut may undo that.
    """
    path = state / _NAME
    if mode is Mode.DISARMED:
        with suppress(MissingFileError):
            remove_durably(path, fs=fs)
        return
    try:
        owner = state.stat()
    except OSError as error:
        raise storage_error("write", path, error) from error
    # Root writes it, and the agent reads it.
    write_durably(path, f"{mode}\n".encode("ascii"), owner=(owner.st_uid, owner.st_gid), fs=fs)
