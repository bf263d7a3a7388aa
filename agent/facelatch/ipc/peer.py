# SPDX-License-Identifier: Apache-2.0
"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self

_UCRED = struct.Struct("iII")  # struct ucred: pid, uid, gid

# From asm-generic/socket.h, which every architecture we run on uses; Python's socket module does not name it.
_SO_PEERGROUPS = 59
_GID_BYTES = 4
# Python allows an option of 1024 bytes at most. A peer in more groups than fit counts as in none of them.
_GROUPS_BUFFER = 1024

_ROOT_UID = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected, at the moment it connected.

    Nothing a peer sends can change this, so it is the only thing that authorisation may rest on. The process id is
    for the log: it may have been given to another process since. A user from another user namespace that has no
    name here appears under the kernel's overflow uid (65534), like every other such user.
    """

    pid: int
    uid: int
    gid: int
    groups: frozenset[int]
    """The primary and the supplementary groups."""

    @classmethod
    def of(cls, connection: socket.socket) -> Self:
        """Ask the kernel who is connected.

        Raises:
            OSError: this is not a connected Unix socket.
        """
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, gid = _UCRED.unpack(credentials)
        return cls(pid, uid, gid, frozenset({gid}) | _supplementary_groups(connection))

    @property
    def is_root(self) -> bool:
        """Whether it is root, who could stop the agent anyway."""
        return self.uid == _ROOT_UID


def _supplementary_groups(connection: socket.socket) -> frozenset[int]:
    try:
        listed = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BUFFER)
    except OSError:
        # Too many for the buffer, or a kernel before 4.13: fewer rights, never more.
        return frozenset()
    return frozenset(struct.unpack(f"{len(listed) // _GID_BYTES}I", listed))
