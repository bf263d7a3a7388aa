# SPDX-License-Identifier: Apache-2.0
"""Listening sockets, and what may lie where one is to be made."""

from __future__ import annotations

import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from facelatch.errors import FacelatchError

# Peers that came while the agent was at something else; further ones wait in connect() or are told to try again.
_BACKLOG = 64


class AgentRunningError(FacelatchError):
    """Somebody answers on the socket already."""


class SocketPathError(FacelatchError):
    """No socket can be made at that path."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening Unix socket, and the path that has to go when it is closed."""

    listening: socket.socket
    path: Path | None = None
    inode: tuple[int, int] | None = None

    @classmethod
    def adopt(cls, listening: socket.socket) -> Self:
        """Take over a socket that listens already, such as one from systemd; its path stays when it is closed.

        Raises:
            ValueError: this is not a listening Unix stream socket.
        """
        fits = listening.family == socket.AF_UNIX and listening.type == socket.SOCK_STREAM
        if not fits or not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError("not a listening Unix stream socket")
        listening.setblocking(False)
        return cls(listening)

    @classmethod
    def create(cls, path: Path, mode: int) -> Self:
        """Make a listening socket at a path, replacing one that nobody answers on.

        Raises:
            AgentRunningError: somebody answers there.
            SocketPathError: something else is there, or the path cannot be used.
        """
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            _clear(path)
            listening.bind(str(path))
            path.chmod(mode)
            listening.listen(_BACKLOG)  # after chmod: nobody gets in by the permissions of before
            made = path.lstat()
        except OSError as error:
            listening.close()
            raise SocketPathError(
                f"no socket can be made at {path} ({error.strerror or error})",
                "check that its directory exists and belongs to the agent",
            ) from error
        except FacelatchError:
            listening.close()
            raise
        return cls(listening, path, (made.st_dev, made.st_ino))

    def close(self) -> None:
        """Stop listening, and remove the path if it is still ours."""
        self.listening.close()
        if self.path is None:
            return
        try:
            found = self.path.lstat()
        except OSError:
            return
        if (found.st_dev, found.st_ino) == self.inode:
            self.path.unlink(missing_ok=True)


def require_free(path: Path) -> None:
    """See that a socket could be made at a path, and change nothing.

    Raises:
        AgentRunningError: somebody answers there.
        SocketPathError: something else is there.
    """
    try:
        _is_left_behind(path)
    except OSError as error:
        raise SocketPathError(f"{path} cannot be looked at ({error.strerror})", "check its directory") from error


def _clear(path: Path) -> None:
    """Remove a socket that an agent left behind when it died."""
    if _is_left_behind(path):
        path.unlink(missing_ok=True)


def _is_left_behind(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketPathError(f"{path} is not a socket", "move it away, or configure another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            pass  # so many are waiting there that somebody must be listening
    raise AgentRunningError(f"another agent answers on {path}", "stop it first")
