# SPDX-License-Identifier: Apache-2.0
"""What an enrolment has left on the disk, looked at from outside and from inside."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from facelatch.demo.errors import expect
from facelatch.demo.stage import Scene, Stage
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Record, seal, unseal

# A record and the pictures share this many bytes in a row by chance about once in 10^10 demos.
_TELLING_BYTES = 8
_STRIDE = 4


def stored(stage: Stage) -> list[Path]:
    """Return every file the agent keeps: in the store, and beside the device key."""
    folders = (stage.state, stage.device_key.parent)
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def only_record(stage: Stage) -> Path:
    """Return the one record of the one person who enrolled.

    Raises:
        DemoError: there is none, or another one.
    """
    records = sorted(stage.state.glob("*.rec"))
    expect(len(records) == 1, f"{len(records)} records are stored, not one")
    return records[0]


def holding(paths: Iterable[Path], text: str) -> list[Path]:
    """Return which files hold a text in the clear."""
    return [path for path in paths if text.encode() in path.read_bytes()]


def sharing_with_pictures(paths: Iterable[Path], stage: Stage) -> list[Path]:
    """Return which files have 11 bytes in a row (or some 8) in common with a picture of the person who enrolled."""
    pictures = b"".join(path.read_bytes() for path in sorted(stage.folder(Scene.ENROLMENT).iterdir()))
    return [path for path in paths if any(window in pictures for window in _windows(path.read_bytes()))]


def open_record(stage: Stage, path: Path) -> tuple[Record, bool]:
    """Open a record with the device key; also tell whether its parts make up the whole file, with nothing left over."""
    key = HostFileKey.load(stage.device_key)
    data = path.read_bytes()
    record = unseal(data, key, path.stem)
    return record, len(seal(record, key)) == len(data)


def hexdump(data: bytes, count: int) -> str:
    """Return the first bytes as hexadecimal digits, in groups of four bytes."""
    return data[:count].hex(" ", 4) + (" ..." if len(data) > count else "")


def _windows(data: bytes) -> set[bytes]:
    return {data[start : start + _TELLING_BYTES] for start in range(0, len(data) - _TELLING_BYTES + 1, _STRIDE)}
