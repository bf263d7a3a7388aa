# SPDX-License-Identifier: Apache-2.0
"""What the agent says of a camera that fails, and that everything but looking goes on without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.agent import Agent
from tests.pictures import save


def camera(agent: Agent) -> str:
    (status,) = agent.lines("status")
    return str(status["camera"])


def component(agent: Agent) -> list[Any]:
    (status,) = agent.lines("status")
    return [part for part in status["components"] if part["name"] == "camera"]


def refusal(agent: Agent) -> dict[str, Any]:
    error = agent.lines("verify")[-1]
    assert error["error"] == "CameraUnavailable"
    return dict(error["parameters"])


@pytest.fixture
def faulty(scenes: Path, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A scene of which no camera gives a usable frame."""
    folder = tmp_path / request.param
    if request.param == "dark":
        save(folder, [np.zeros((64, 64, 3), np.uint8)])
    elif request.param == "empty":
        folder.mkdir()
    return str(scenes / folder)


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [("dark", "dark"), ("empty", "misconfigured"), ("missing", "misconfigured")],
    indirect=["faulty"],
)
def test_a_camera_that_fails_is_unavailable_until_it_gives_a_frame(
    agent_with_anna: Agent, faulty: str, reason: str
) -> None:
    agent = agent_with_anna
    agent.start()
    assert (camera(agent), component(agent)) == ("idle", [])
    agent.show(faulty)
    fault = refusal(agent)
    assert fault["reason"] == reason
    assert camera(agent) == "unavailable"
    (part,) = component(agent)
    assert (part["state"], part["detail"]) == ("failed", f"when last used: {fault['detail']}")

    agent.show("anna")
    assert camera(agent) == "unavailable"  # nobody has looked since
    assert agent.cli("verify").returncode == 0
    assert (camera(agent), component(agent)) == ("idle", [])


@pytest.mark.parametrize("faulty", ["missing"], indirect=True)
def test_asking_for_the_status_opens_no_camera(agent_with_anna: Agent, faulty: str) -> None:
    agent_with_anna.start()
    agent_with_anna.show(faulty)
    assert camera(agent_with_anna) == "idle"


def test_without_its_camera_the_agent_starts_and_does_all_but_look(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    agent.configure("camera", backend="v4l2", source=str(agent.root / "video0"))
    agent.start()
    assert camera(agent) == "unavailable"
    assert "is not there: plug it in" in component(agent)[0]["detail"]
    assert "is not there: plug it in" in agent.log
    assert refusal(agent)["reason"] == "unplugged"
    assert agent.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse").returncode == 0
    assert "anna" in agent.cli("list").stdout
    assert agent.cli("remove", "anna").returncode == 0
