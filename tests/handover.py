# SPDX-License-Identifier: Apache-2.0
"""A test that plays systemd to the real agent: sockets handed over, notification, watchdog."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.agent import GUARD_SECONDS, PROGRAM, Agent

NAMES = ("agent.sock", "status.sock")
# Above what a shell has open, so that 3 and 4 are free for them.
_HIGH_FD = 100
# What sd_listen_fds(3) promises; the pid is the program's own, which only a shell that becomes it knows beforehand.
_HANDOVER = """exec 3<&{first} 4<&{second}
export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names} NOTIFY_SOCKET={told} WATCHDOG_USEC={watchdog}
"""
_SHELL = ("/bin/bash", "-c", '. ./handover; exec "$@"', "bash")


class Systemd:
    """Both sockets listening, and one to be notified on."""

    def __init__(self, agent: Agent) -> None:
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.told.bind(str(agent.root / "notify"))
        self.told.settimeout(GUARD_SECONDS)
        self._sockets = []
        for name in NAMES:
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(agent.runtime / name))
                listening.listen()
                self._sockets.append(fcntl.fcntl(listening, fcntl.F_DUPFD, _HIGH_FD))

    @property
    def fds(self) -> tuple[int, ...]:
        return tuple(self._sockets)

    def hears(self) -> str:
        """Wait for the next message."""
        return self.told.recv(4096).decode()

    def close(self) -> None:
        self.told.close()
        for fd in self._sockets:
            os.close(fd)


@contextmanager
def handed_over(
    scenes: Path, names: str = ":".join(NAMES), watchdog: str = "", program: Sequence[str] = PROGRAM
) -> Iterator[tuple[Agent, Systemd]]:
    """An agent, not started, that will be given sockets under these names."""
    with TemporaryDirectory(prefix="facelatch-") as root, Agent(Path(root), scenes, (*_SHELL, *program)) as agent:
        systemd = Systemd(agent)
        told = agent.root / "notify"
        first, second = systemd.fds
        handover = _HANDOVER.format(first=first, second=second, names=names, told=told, watchdog=watchdog)
        (agent.root / "handover").write_text(handover)
        try:
            yield agent, systemd
        finally:
            systemd.close()
