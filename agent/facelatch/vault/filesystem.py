# SPDX-License-Identifier: Apache-2.0
"""Every operation that changes something on disk, so that a test can cut the power at any of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol


class FileSystem(Protocol):
    """The changing operations. All raise ``OSError``."""

    def create(self, path: Path, mode: int) -> int:
        """Create a file that does not exist yet, not following links; return its descriptor."""

    def make_directory(self, path: Path) -> None:
        """Make a directory, closed to others, that does not exist yet."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Write some of the data; return how many bytes."""

    def give(self, descriptor: int, owner: tuple[int, int]) -> None:
        """Give a file to a user and a group."""

    def sync(self, descriptor: int) -> None:
        """Return once what was written is on the medium."""

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in the place of another, in one step."""

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, unless something has that name already."""

    def remove(self, path: Path) -> None:
        """Remove a name."""

    def sync_directory(self, directory: Path) -> None:
        """Return once the names in a directory are on the medium."""


class OsFileSystem:
    """The operations as the operating system does them."""

    def create(self, path: Path, mode: int) -> int:
        """As ``FileSystem``."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)

    def make_directory(self, path: Path) -> None:
        """As ``FileSystem``."""
        path.mkdir(mode=0o700)

    def write(self, descriptor: int, data: bytes) -> int:
        """As ``FileSystem``."""
        return os.write(descriptor, data)

    def give(self, descriptor: int, owner: tuple[int, int]) -> None:
        """As ``FileSystem``."""
        os.fchown(descriptor, *owner)

    def sync(self, descriptor: int) -> None:
        """As ``FileSystem``."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """As ``FileSystem``."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """As ``FileSystem``."""
        source.replace(target)

    def link(self, source: Path, target: Path) -> None:
        """As ``FileSystem``."""
        target.hardlink_to(source)

    def remove(self, path: Path) -> None:
        """As ``FileSystem``."""
        path.unlink()

    def sync_directory(self, directory: Path) -> None:
        """As ``FileSystem``."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


OS = OsFileSystem()
