# SPDX-License-Identifier: Apache-2.0
"""Disks that fail: the power goes at the n-th operation, or the n-th operation is refused."""

from __future__ import annotations

import os
from pathlib import Path

from facelatch.vault.filesystem import OsFileSystem


class PowerCut(BaseException):
    """The power is gone. Not an ``Exception``, so that no handler can carry on."""


class SteppedFs(OsFileSystem):
    """Calls ``step`` before each operation."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        self.steps += 1

    def create(self, path: Path, mode: int) -> int:
        self.step()
        return super().create(path, mode)

    def write(self, descriptor: int, data: bytes) -> int:
        self.step()
        return super().write(descriptor, data[: max(1, len(data) // 2)])  # a write may always be a short one

    def sync(self, descriptor: int) -> None:
        self.step()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self.step()
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self.step()
        super().link(source, target)

    def remove(self, path: Path) -> None:
        self.step()
        super().remove(path)

    def sync_directory(self, directory: Path) -> None:
        self.step()
        super().sync_directory(directory)


class FailingFs(SteppedFs):
    """Refuses one operation, or that and all later ones, with an ``errno``."""

    def __init__(self, number: int, *, fail_at: int, and_later: bool = False) -> None:
        super().__init__()
        self._number = number
        self._fail_at = fail_at
        self._and_later = and_later

    def step(self) -> None:
        failing = self.steps >= self._fail_at if self._and_later else self.steps == self._fail_at
        super().step()
        if failing:
            raise OSError(self._number, os.strerror(self._number))


class PowerCutFs(SteppedFs):
    """Loses power at one operation of those in one flat directory, then at all later ones.

    ``fall`` leaves on disk what the medium would hold: data not synced is lost, and names not synced are, at choice,
    all there or all as they were at the last ``sync_directory``.
    """

    def __init__(self, directory: Path, cut_at: int) -> None:
        super().__init__()
        self._directory = directory
        self._cut_at = cut_at
        self._unsynced: set[int] = set()
        self._durable = self._contents()

    def step(self) -> None:
        if self.steps >= self._cut_at:
            raise PowerCut
        super().step()

    def create(self, path: Path, mode: int) -> int:
        descriptor = super().create(path, mode)
        self._unsynced.add(os.fstat(descriptor).st_ino)
        return descriptor

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self._unsynced.discard(os.fstat(descriptor).st_ino)

    def sync_directory(self, directory: Path) -> None:
        super().sync_directory(directory)
        if directory == self._directory:
            self._durable = self._contents()

    def _contents(self) -> dict[str, bytes]:
        return {
            path.name: b"" if path.stat().st_ino in self._unsynced else path.read_bytes()
            for path in self._directory.iterdir()
        }

    def fall(self, *, keep_names: bool) -> None:
        survivors = self._contents() if keep_names else self._durable
        for path in self._directory.iterdir():
            path.unlink()
        for name, data in survivors.items():
            path = self._directory / name
            path.write_bytes(data)
            path.chmod(0o600)
