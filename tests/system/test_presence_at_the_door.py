# SPDX-License-Identifier: Apache-2.0
"""Presence at the door, where it is asked for: the real agent lets in who stays, once for each time they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent import GUARD_SECONDS, Agent, agent_in_temporary_directory
from tests.hardware import Bench, told, wait, wired

LIVE = (sys.executable, str(Path(__file__).parents[1] / "live_agent.py"))


@pytest.fixture
def agent(scenes: Path) -> Iterator[Agent]:
    """An agent that knows anna and sees the world change; what it sees is not judged here."""
    with agent_in_temporary_directory(scenes, LIVE) as agent:
        agent.settings["liveness"] = "off"
        agent.configure("enroll", seconds=1)
        agent.start()
        assert agent.cli("enroll", "anna").returncode == 0
        assert agent.terminate() == 0
        yield agent


def watching(agent: Agent) -> bool:
    [status] = agent.lines("status")
    return bool(status["camera"] == "in_use")


@pytest.fixture
def bench(agent: Agent) -> Iterator[Bench]:
    """The door of that agent, which lets in who stays for a second; nobody is there."""
    agent.show("nobody")
    agent.configure("presence", seconds=1)
    with wired(agent) as bench:
        agent.start()
        assert agent.cli("arm", "--config", str(agent.config)).returncode == 0
        yield bench


def test_who_comes_and_stays_is_let_in_and_again_only_after_going_away(agent: Agent, bench: Bench) -> None:
    wait(lambda: watching(agent))
    assert "verify" not in agent.log
    agent.show("anna")
    told(agent, "latch_closed")
    bench.pulsed()
    wait(lambda: watching(agent))  # it looks on, though she is still there

    def comes_again() -> bool:
        agent.show("nobody")
        time.sleep(3)
        agent.show("anna")
        time.sleep(3)
        return len(bench.pulses) == 4

    wait(comes_again)
    assert agent.log.count("verify_match") == 2


def test_a_request_is_served_while_it_watches(agent: Agent, bench: Bench) -> None:
    wait(lambda: watching(agent))
    with agent.client("verify", "--user", "anna") as asked:
        assert asked.stdout is not None
        assert asked.stdout.readline()  # the watch has given way: who comes only now is not its to ask for
        agent.show("stranger")
        assert asked.wait(GUARD_SECONDS) == 1
    assert bench.pulses == []
    wait(lambda: watching(agent))


def test_unless_it_is_asked_for_nothing_looks(agent: Agent) -> None:
    agent.start()
    assert not watching(agent)
    assert agent.cli("verify", "--user", "anna").returncode == 0
    wait(lambda: not watching(agent))
