# SPDX-License-Identifier: Apache-2.0
"""Which programs have a device open."""

from __future__ import annotations

import stat
from pathlib import Path

PROC = Path("/proc")


def programs_using(device: Path, proc: Path = PROC) -> dict[int, str]:
    """Return the processes that have a device node open, by number, with their names; those that we may see."""
    try:
        wanted = device.stat()
    except OSError:
        return {}
    if not stat.S_ISCHR(wanted.st_mode):
        return {}
    found = {}
    for process in proc.iterdir():
        if process.name.isdecimal() and _has_open(process, wanted.st_rdev):
            try:
                found[int(process.name)] = (process / "comm").read_text().strip()
            except OSError:
                continue  # it has just ended
    return found


def _has_open(process: Path, number: int) -> bool:
    try:
        for descriptor in (process / "fd").iterdir():
            try:
                status = descriptor.stat()
            except OSError:
                continue  # closed meanwhile
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == number:
                return True
    except OSError:
        return False  # another user's, or gone
    return False
