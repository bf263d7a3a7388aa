# SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests: the real agent, and scenes to show it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent import Agent, agent_in_temporary_directory
from tests.pictures import make_scenes


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of pictures by name: anna, stranger, guest, nobody."""
    return make_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def idle_agent(scenes: Path) -> Iterator[Agent]:
    """An agent that is set up but not started; the camera would show anna."""
    with agent_in_temporary_directory(scenes) as agent:
        yield agent


@pytest.fixture
def agent(idle_agent: Agent) -> Agent:
    """An agent that runs, with nobody enrolled."""
    idle_agent.start()
    return idle_agent


@pytest.fixture
def slow_agent(idle_agent: Agent) -> Agent:
    """An agent that takes the first look of an enrolment at once, and would be ten minutes about the others."""
    idle_agent.configure("enroll", seconds=600.0, timeout=600.0)
    idle_agent.start()
    return idle_agent


@pytest.fixture(scope="session")
def anna_enrolled(scenes: Path) -> Iterator[Agent]:
    """An agent that has ended, with anna enrolled; to be copied from."""
    with agent_in_temporary_directory(scenes) as agent:
        agent.start()
        assert agent.cli("enroll", "anna").returncode == 0
        assert agent.terminate() == 0
        yield agent


@pytest.fixture
def agent_with_anna(anna_enrolled: Agent, idle_agent: Agent) -> Agent:
    """An agent that is not started and has a key and anna's record."""
    shutil.copytree(anna_enrolled.state, idle_agent.state)
    shutil.copytree(anna_enrolled.key.parent, idle_agent.key.parent, dirs_exist_ok=True)
    return idle_agent
