# SPDX-License-Identifier: Apache-2.0
"""Tells from /proc and /sys on what kind of file system a directory lies, and whether that one is encrypted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
SYS_DEVICES = Path("/sys/dev/block")
MEMORY = frozenset({"tmpfs", "ramfs"})
"""File systems that a restart empties."""

_ESCAPE = re.compile(r"\\([0-7]{3})")
_CRYPT = "CRYPT-"  # how the uuid of every dm-crypt mapping begins (cryptsetup, lib/libdevmapper.c)


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo (proc_pid_mountinfo(5)).

    Attributes:
        point: where it is mounted.
        kind: of file system.
        source: what is mounted, often a device node.
        device: "major:minor"; major 0 where the file system has no block device of its own, or several.
    """

    point: Path
    kind: str
    source: str
    device: str


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """Return the mount that an absolute path without links lies on, or None where the text does not tell."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        mount = _parse(line)
        if mount is None or not path.is_relative_to(mount.point):
            continue
        # The deepest counts, and of those at one place the last: it hides the others.
        if found is None or len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def _parse(line: str) -> Mount | None:
    left, _, right = line.partition(" - ")
    fields, rest = left.split(), right.split()
    if len(fields) < 6 or len(rest) < 2:
        return None
    return Mount(Path(_unescape(fields[4])), rest[0], _unescape(rest[1]), fields[2])


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def is_encrypted(mount: Mount, devices: Path = SYS_DEVICES) -> bool | None:
    """Tell whether a mount lies on a dm-crypt mapping, at whatever depth; None: it cannot be told."""
    device = mount.device
    if device.startswith("0:"):
        try:
            number = Path(mount.source).stat().st_rdev if mount.source.startswith("/dev/") else 0
        except OSError:
            return None
        device = f"{os.major(number)}:{os.minor(number)}"
    try:
        return _is_crypt((devices / device).resolve(strict=True))
    except OSError:
        return None


def _is_crypt(device: Path) -> bool | None:
    if (device / "partition").exists():
        device = device.parent
    uuid = device / "dm" / "uuid"
    if uuid.exists() and uuid.read_text().startswith(_CRYPT):
        return True
    if (device / "loop").exists():
        return None  # its file may lie anywhere
    below = device / "slaves"
    answers = {_is_crypt(lower.resolve(strict=True)) for lower in below.iterdir()} if below.is_dir() else set()
    if not answers:
        return False
    # A device made of several is as open as the worst of them.
    return False if False in answers else None if None in answers else True
