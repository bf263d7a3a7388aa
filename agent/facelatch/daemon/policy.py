# SPDX-License-Identifier: Apache-2.0
"""Who may do what, decided from the kernel's peer credentials and the configuration alone."""

from __future__ import annotations

import grp
import pwd
from enum import Enum, auto

from facelatch.config import Config
from facelatch.ipc.peer import Peer


class Action(Enum):
    """What a peer may ask for; the names are those of the socket's methods."""

    VERIFY = auto()
    OPEN_LATCH = auto()
    ENROLL = auto()
    REFRESH = auto()
    LIST_USERS = auto()
    REMOVE_USER = auto()
    RESET_LOCKOUT = auto()
    REKEY = auto()
    SEAL = auto()
    UNSEAL = auto()
    MONITOR = auto()


class Policy:
    """The rules of design section 6.

    Args:
        config: names the administrators, the group and the audiences.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def allows(self, peer: Peer, action: Action, user: str | None = None) -> bool:
        """Tell whether a peer may do that, to the named user where the action concerns one."""
        if self.is_administrator(peer):
            return True
        themselves = user is not None and user == login_name(peer.uid)
        match action:
            case Action.VERIFY:
                return themselves or self._is_member(peer)
            case Action.UNSEAL | Action.REFRESH:
                return themselves
            case Action.OPEN_LATCH:
                return login_name(peer.uid) in self._config.latch.allow
            case Action.MONITOR:
                return self._is_member(peer)
            case _:
                return False

    def allows_audience(self, peer: Peer, audience: str) -> bool:
        """Tell whether a peer may have a signature meant for that audience."""
        if audience not in self._config.audiences:
            return False
        return peer.is_root or login_name(peer.uid) in self._config.audiences[audience]

    def comes_first(self, peer: Peer) -> bool:
        """Tell whether a peer is next for the camera whoever else asks: root, by whom logins ask."""
        return peer.is_root

    def may_know(self, peer: Peer, user: str) -> bool:
        """Tell whether a peer may learn that a name is not enrolled: administrators, and people of themselves."""
        return self.is_administrator(peer) or user == login_name(peer.uid)

    def is_administrator(self, peer: Peer) -> bool:
        """Tell whether a peer is root or named as an administrator."""
        return peer.is_root or login_name(peer.uid) in self._config.policy.administrators

    def _is_member(self, peer: Peer) -> bool:
        try:
            group = grp.getgrnam(self._config.policy.group)
        except KeyError:
            return False
        return group.gr_gid in peer.groups


def login_name(uid: int) -> str | None:
    """Name of that user, or None where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
