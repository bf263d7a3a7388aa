# SPDX-License-Identifier: Apache-2.0
"""The real agent under what systemd does to a service: sockets handed over, notification, watchdog.

The test plays systemd; ``python -m tools.story`` shows the same under the real one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent import GUARD_SECONDS
from tests.handover import NAMES, handed_over


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
