# SPDX-License-Identifier: Apache-2.0
"""What the system gives: a clock, groups, and a place for the state."""

from __future__ import annotations

import grp
import os
import time
from collections.abc import Iterator
from pathlib import Path

from facelatch.config import Config
from facelatch.diagnosis import mounts
from facelatch.diagnosis.eyes import VIDEO
from facelatch.diagnosis.finding import AS_ROOT, Finding, State

BUILD_YEAR = 2026
"""A clock that shows an earlier year is wrong."""

LEAST_FREE_BYTES = 2**20
"""Below this not even a few records can be counted on to be stored."""

LITTLE_FREE_BYTES = 64 * 2**20
"""Below this something else is about to fill the card."""


def check_clock(now: float) -> Finding:
    """See whether a time in seconds since the epoch can be the present."""
    year = time.gmtime(now).tm_year
    if year >= BUILD_YEAR:
        return Finding("clock", State.OK, f"shows the year {year}")
    return Finding("clock", State.FAILED, f"shows the year {year}", "set it (`timedatectl` tells who keeps it)")


def check_encryption(state: Path) -> Finding:
    """See whether the card gives the records away to whoever pulls it out."""
    try:
        place = _existing(state)
        mount = mounts.mount_of(place, mounts.MOUNTINFO.read_text())
    except OSError:
        mount = None
    if mount is None:
        return Finding("encryption", State.WEAK, f"cannot tell on which file system {state} lies", AS_ROOT)
    where = f"the state lies on {mount.kind} ({mount.source})"
    if mount.kind in mounts.MEMORY:
        return Finding("encryption", State.WEAK, f"{where}, which a restart empties", "set state to a path on the card")
    match mounts.is_encrypted(mount, mounts.SYS_DEVICES):
        case True:
            return Finding("encryption", State.OK, f"{where}, on a dm-crypt mapping")
        case False:
            return Finding(
                "encryption", State.WEAK, f"{where}, not encrypted", "put it on a LUKS volume (`facelatch-provision`)"
            )
        case None:
            remedy = "look with `lsblk`"
            return Finding("encryption", State.WEAK, f"{where}, cannot tell whether it is encrypted", remedy)


def check_space(state: Path) -> Finding:
    """See whether something more can be stored."""
    try:
        disk = os.statvfs(_existing(state))
    except OSError as error:
        return Finding("disk", State.WEAK, f"cannot tell the free space ({error.strerror})", AS_ROOT)
    free = disk.f_bavail * disk.f_frsize
    detail = f"{free >> 20} MiB free for {state}"
    if disk.f_flag & os.ST_RDONLY:
        remedy = "mount it writable; if it turned read-only by itself, the card is failing"
        return Finding("disk", State.FAILED, f"the file system of {state} is read-only", remedy)
    if free < LEAST_FREE_BYTES or (disk.f_files and not disk.f_favail):
        return Finding("disk", State.FAILED, f"no space left for {state}", "remove files from that file system")
    if free < LITTLE_FREE_BYTES:
        return Finding("disk", State.WEAK, detail, "remove files from that file system")
    return Finding("disk", State.OK, detail)


def _existing(path: Path) -> Path:
    """Return the path without links, or the nearest directory above it that exists."""
    for place in (path, *path.parents):
        try:
            return place.resolve(strict=True)
        except (FileNotFoundError, PermissionError):
            continue
    return Path("/")


def check_groups(chosen: Config) -> Iterator[Finding]:
    """See that the group of those who may verify exists, and whether this user may use cameras."""
    name = chosen.policy.group
    if name in {entry.gr_name for entry in grp.getgrall()}:
        yield Finding("group", State.OK, f"group {name!r} exists")
    else:
        detail = f"there is no group {name!r}, so only root and administrators may verify others and watch"
        yield Finding("group", State.WEAK, detail, f"run `groupadd --system {name}` if others are to")
    if os.geteuid() == 0:
        yield Finding("video", State.OK, "root needs no group to use cameras")
    elif VIDEO in {entry.gr_name for entry in grp.getgrall() if entry.gr_gid in (os.getegid(), *os.getgroups())}:
        yield Finding("video", State.OK, f"this user is in group {VIDEO!r}")
    else:
        remedy = f"run `usermod --append --groups {VIDEO} USER` and log in anew, to use `facelatch aim` as this user"
        yield Finding("video", State.WEAK, f"this user is not in group {VIDEO!r}", remedy)
