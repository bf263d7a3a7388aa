# SPDX-License-Identifier: Apache-2.0
"""The real agent under what systemd does to a service: sockets handed over, notification, watchdog.

The test plays systemd; ``python -m tools.story`` shows the same under the real one.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.agent import GUARD_SECONDS, PROGRAM, Agent

NAMES = ("agent.sock", "status.sock")
# Above what a shell has open, so that 3 and 4 are free for them.
_HIGH_FD = 100
# What sd_listen_fds(3) promises; the pid is the program's own, which only a shell that becomes it knows beforehand.
_HANDOVER = """exec 3<&{first} 4<&{second}
export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={names} NOTIFY_SOCKET={told} WATCHDOG_USEC={watchdog}
"""
_PROGRAM = ("/bin/bash", "-c", '. ./handover; exec "$@"', "bash", *PROGRAM)


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
def handed_over(scenes: Path, names: str = ":".join(NAMES), watchdog: str = "") -> Iterator[tuple[Agent, Systemd]]:
    """An agent, not started, that will be given sockets under these names."""
    with TemporaryDirectory(prefix="facelatch-") as root, Agent(Path(root), scenes, _PROGRAM) as agent:
        systemd = Systemd(agent)
        told = agent.root / "notify"
        first, second = systemd.fds
        handover = _HANDOVER.format(first=first, second=second, names=names, told=told, watchdog=watchdog)
        (agent.root / "handover").write_text(handover)
        try:
            yield agent, systemd
        finally:
            systemd.close()


def test_it_serves_on_the_sockets_it_is_given_and_says_when_it_does(scenes: Path) -> None:
    with handed_over(scenes) as (agent, systemd):
        agent.spawn(pass_fds=systemd.fds)
        assert systemd.hears() == "READY=1"
        assert agent.cli("status").returncode == 0
        assert agent.cli("enroll", "anna").returncode == 0
        assert agent.cli("verify").stdout.endswith("match: anna\n")
        assert agent.terminate() == 0
        assert systemd.hears() == "STOPPING=1"
        # They are systemd's: whoever connects now waits for the next start instead of finding nobody.
        assert agent.sockets == sorted(NAMES)


def test_it_says_nothing_before_it_answers(scenes: Path) -> None:
    with handed_over(scenes) as (agent, systemd):
        agent.configure("camera", source="/nowhere")
        agent.spawn(pass_fds=systemd.fds)
        assert agent.process.wait(GUARD_SECONDS) == 2
        systemd.told.setblocking(False)
        with pytest.raises(BlockingIOError):
            systemd.hears()


def test_a_socket_under_another_name_is_not_taken_for_ours(scenes: Path) -> None:
    with handed_over(scenes, names="agent.sock:other.sock") as (agent, systemd):
        agent.spawn(pass_fds=systemd.fds)
        assert agent.process.wait(GUARD_SECONDS) == 2
        assert "no listening Unix stream socket named 'status.sock'" in agent.log


def test_two_sockets_of_one_name_are_refused(scenes: Path) -> None:
    with handed_over(scenes, names="agent.sock:agent.sock") as (agent, systemd):
        agent.spawn(pass_fds=systemd.fds)
        assert agent.process.wait(GUARD_SECONDS) == 2
        assert "hands over 2 sockets named" in agent.log


def test_signs_of_life_come_while_it_idles_and_while_it_looks(scenes: Path) -> None:
    with handed_over(scenes, watchdog="200000") as (agent, systemd):
        agent.configure("enroll", seconds=600.0, timeout=600.0)
        agent.spawn(pass_fds=systemd.fds)
        assert systemd.hears() == "READY=1"
        assert [systemd.hears() for _ in range(3)] == ["WATCHDOG=1"] * 3
        with agent.client("enroll", "anna", "--json") as enrolling:
            assert enrolling.stdout is not None
            assert "remaining" in enrolling.stdout.readline()
            assert [systemd.hears() for _ in range(6)] == ["WATCHDOG=1"] * 6
