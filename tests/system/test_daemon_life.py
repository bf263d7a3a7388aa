# SPDX-License-Identifier: Apache-2.0
"""One thing at a time, and what becomes of it when the peer or the agent goes away in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from facelatch.errors import AgentUnreachableError
from facelatch.ipc.interface import Cancelled
from facelatch.ipc.words import EnrollMode
from tests.agent import Agent, agent_in_temporary_directory, enrolment, eventually, last, scenario
from tests.pictures import anna, nobody, save


def test_cancel_with_nothing_to_end_is_no_error_and_ends_nothing_later(agent: Agent) -> None:
    async def steps() -> None:
        async with agent.connect() as client:
            await client.Cancel()
            assert "result" in await last(client.Enroll(user="anna"))

    scenario(steps())
    assert len(agent.records) == 1


def test_users_outlive_a_restart(agent: Agent) -> None:
    agent.cli("enroll", "anna", "--administrator")
    before = agent.lines("list")
    assert agent.terminate() == 0
    agent.start()
    assert agent.lines("list") == before
    assert agent.cli("verify").returncode == 0


def test_sigterm_ends_a_verification_and_leaves_no_socket(agent: Agent) -> None:
    async def steps() -> None:
        async with agent.connect() as client:
            replies = client.Verify(timeout_ms=120_000)
            assert "progress" in await anext(replies)
            agent.process.terminate()
            with pytest.raises((AgentUnreachableError, Cancelled)):
                await last(replies)
        await eventually(lambda: agent.process.poll() is not None)

    agent.show("nobody")
    scenario(steps())
    assert agent.process.returncode == 0
    assert agent.sockets == []
    assert "Traceback" not in agent.log


def test_a_kill_in_the_middle_of_an_enrolment_leaves_the_state_as_it_was(agent_with_anna: Agent) -> None:
    async def steps() -> None:
        async with enrolment(agent, EnrollMode.replace):
            agent.kill()

    agent, records = agent_with_anna, agent_with_anna.records
    agent.configure("enroll", seconds=600.0, timeout=600.0)
    agent.start()
    before = agent.lines("list")
    scenario(steps())
    assert agent.sockets == ["agent.sock", "status.sock"]  # what a killed agent cannot clean up

    agent.start()
    assert agent.lines("list") == before
    assert agent.records == records
    assert agent.cli("verify").returncode == 0


def test_a_second_agent_on_the_same_records_is_refused(agent_with_anna: Agent) -> None:
    agent = agent_with_anna
    agent.start()
    (agent.root / "other").mkdir()
    agent.settings["runtime"] = str(agent.root / "other")
    agent.write_config()
    result = agent.run()
    assert result.returncode == 2
    assert f"{agent.state} is in use by another agent: stop that one first" in result.stderr
    assert agent.process.poll() is None
    assert agent.cli("verify").returncode == 0


def test_a_second_agent_on_the_same_sockets_is_refused(agent: Agent, scenes: Path) -> None:
    with agent_in_temporary_directory(scenes) as second:
        second.settings["runtime"] = str(agent.runtime)
        second.write_config()
        result = second.run()
    assert result.returncode == 2
    assert f"another agent answers on {agent.runtime / 'agent.sock'}: stop it first" in result.stderr
    assert agent.sockets == ["agent.sock", "status.sock"]
    assert agent.cli("status").returncode == 0


@pytest.mark.parametrize(("removed", "result"), [(False, "verify_match"), (True, "verify_no_match")])
def test_a_user_who_is_removed_during_an_attempt_no_longer_matches(
    agent_with_anna: Agent, tmp_path: Path, removed: bool, result: str
) -> None:
    async def steps() -> None:
        async with agent.connect() as client, agent.connect() as second:
            replies = client.Verify(timeout_ms=120_000)
            assert "progress" in await anext(replies)
            if removed:
                await second.RemoveUser(user="anna")
            (face / "0.png").replace(wall / "0.png")  # somebody steps before the camera
            assert str((await last(replies))["result"]) == result

    agent = agent_with_anna
    agent.start()
    face, wall = save(tmp_path / "face", anna(1)), save(tmp_path / "wall", nobody())
    agent.show(str(wall))
    scenario(steps())
