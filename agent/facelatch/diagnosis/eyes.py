# SPDX-License-Identifier: Apache-2.0
"""Whose eyes to look with: the agent's user, who may see less than root."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facelatch.ipc.peer import Peer

VIDEO = "video"
"""Group of those who may use cameras; the agent's unit adds it."""


def agent_uid(state: Path, agent: Peer | None) -> int | None:
    """Return who the agent is, or is to be: the owner of its state. None: this user may not see that."""
    try:
        owner = state.stat().st_uid
    except PermissionError:
        return None
    except OSError:
        owner = os.geteuid()
    if agent is not None:
        owner = agent.uid
    return owner if os.geteuid() in (0, owner) else None


@contextmanager
def eyes_of(uid: int | None) -> Iterator[None]:
    """Look with the agent's rights and not with root's, so that what it may not read is not taken for readable.

    None, where its user is not known, is as 0: with our own.
    """
    if os.geteuid() != 0 or not uid:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    theirs, primary = _groups_of(uid)
    try:
        os.setgroups(theirs)
        os.setegid(primary)
        os.seteuid(uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _groups_of(uid: int) -> tuple[list[int], int]:
    """All groups of a user, with the one that the agent's unit adds; and the primary one."""
    video = [entry.gr_gid for entry in grp.getgrall() if entry.gr_name == VIDEO]
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return video, uid
    return [*os.getgrouplist(user.pw_name, user.pw_gid), *video], user.pw_gid
