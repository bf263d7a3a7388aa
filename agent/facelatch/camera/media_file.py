# SPDX-License-Identifier: Apache-2.0
"""Checks shared by everything that replays files, and the words it refuses them with."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from facelatch.errors import CameraError, CameraFault

MAX_SIDE_PX = 4096
"""Largest width or height taken: more than any camera of this class gives, and 48 MiB once decoded."""


def unusable(problem: str, remedy: str) -> CameraError:
    """Make the error for something that cannot be replayed."""
    return CameraError(CameraFault.MISCONFIGURED, problem, remedy)


def unreadable(path: Path, error: OSError) -> CameraError:
    """Make the error for a file or folder that the system does not let us read."""
    if isinstance(error, PermissionError):
        return CameraError(
            CameraFault.NO_PERMISSION,
            f"not allowed to read {path}",
            "let the agent's user read it, and enter every folder above it",
        )
    if isinstance(error, FileNotFoundError):
        return unusable(f"{path} does not exist", "correct the path, or put the pictures there")
    return unusable(f"{path} cannot be read ({error.strerror})", "correct the path, or restore the file")


def require_file(path: Path) -> int:
    """Return the size in bytes of a file that can be given to OpenCV: regular, not empty, readable, bearably named.

    Raises:
        CameraError: ``MISCONFIGURED`` or ``NO_PERMISSION``.
    """
    if not _is_utf8(path):
        raise unusable(f"the name of file {str(path)!r} is not UTF-8", "rename it")
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise unusable(f"{path} is not a file", "remove it, or correct the path")
    if status.st_size == 0:
        raise unusable(f"{path} is empty", "remove it, or copy it again")
    if not os.access(path, os.R_OK):
        raise unreadable(path, PermissionError())
    return status.st_size


def _is_utf8(path: Path) -> bool:
    # OpenCV 5.0.0 brings the whole process down when given any other name.
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def require_size(path: Path, width: int, height: int) -> None:
    """Check a picture's width and height in pixels.

    Raises:
        CameraError: ``MISCONFIGURED``: a side is longer than ``MAX_SIDE_PX``.
    """
    if max(width, height) > MAX_SIDE_PX:
        raise unusable(
            f"{path} is too large ({width} x {height} pixels)",
            f"scale it down to at most {MAX_SIDE_PX} pixels a side",
        )
