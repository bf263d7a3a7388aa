# SPDX-License-Identifier: Apache-2.0
"""The liveness policy of the real agent, over its real sockets, before a camera that shows the present."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facelatch.ipc.words import ProgressResult, VerifyResult
from facelatch.vault.lockout import FREE_FAILURES
from tests import pictures
from tests.agent import Agent, agent_in_temporary_directory, last, scenario

LIVE = (sys.executable, str(Path(__file__).parents[1] / "live_agent.py"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes: the person who enrols, a stranger, a print of the person, an empty room, and mixtures."""
    folder = pictures.make_scenes(tmp_path_factory.mktemp("scenes"))
    pictures.save(folder / "print", pictures.printed(6))
    pictures.save(folder / "still", pictures.anna(1))
    pictures.save(folder / "leaving", [*pictures.anna(5), *pictures.nobody()])
    return folder


@pytest.fixture
def live(world: Path) -> Iterator[Agent]:
    """An agent that asks for liveness and knows anna; its camera gives 15 frames a second."""
    with agent_in_temporary_directory(world, LIVE) as agent:
        agent.configure("camera", fps=15)
        agent.start()
        assert agent.cli("enroll", "anna").returncode == 0
        yield agent


def restart(agent: Agent, **settings: object) -> None:
    agent.terminate()
    agent.settings.update(settings)
    agent.start()


def test_a_live_face_unlocks_without_being_asked_for_anything(live: Agent) -> None:
    assert live.lines("status")[0]["liveness"] == "required"
    *progress, result = live.lines("verify", "--user", "anna")
    assert result["result"] == "verify_match"
    assert {line["progress"]["result"] for line in progress} == {"verify_look"}


def test_a_print_of_the_owner_is_not_live_and_burns_none_of_the_owners_tries(live: Agent) -> None:
    live.show("print")
    refused = live.cli("verify", "--user", "anna")
    assert (refused.returncode, refused.stdout.splitlines()[-1]) == (1, "not a live face")
    assert "verify_spoof user=anna" in live.log
    live.show("anna")
    assert live.cli("verify", "--user", "anna").returncode == 0


def test_the_same_print_unlocks_where_liveness_is_off(live: Agent) -> None:
    """The control: the print is good enough for the encoder, so that what refuses it above is the liveness check."""
    restart(live, liveness="off")
    assert live.lines("status")[0]["liveness"] == "off"
    live.show("print")
    assert live.cli("verify", "--user", "anna").returncode == 0


def test_a_loop_of_prints_is_bounded_across_restarts_and_a_reset_ends_it(live: Agent) -> None:
    live.show("print")
    results = [live.cli("verify").returncode for _ in range(FREE_FAILURES)]
    assert results == [1] * FREE_FAILURES
    restart(live)
    live.show("anna")
    for arguments in ((), ("--user", "anna")):
        (locked,) = live.lines("verify", *arguments)
        assert locked["error"] == "LockedOut"
        assert 0 < locked["parameters"]["retry_after_ms"] <= 30_000
    assert live.cli("unlock-lockout").returncode == 0
    assert live.cli("verify", "--user", "anna").returncode == 0


def test_a_live_match_forgets_prints(live: Agent) -> None:
    for _ in range(2):
        live.show("print")
        for _ in range(FREE_FAILURES - 1):
            assert live.cli("verify").returncode == 1
        live.show("anna")
        assert live.cli("verify").returncode == 0


def test_a_print_put_in_place_of_a_live_stranger_does_not_unlock(live: Agent) -> None:
    async def swap() -> None:
        live.show("stranger")
        async with live.connect() as client:
            replies = client.Verify(user="anna")
            looks = 0
            async for reply in replies:
                progress = reply.get("progress")
                looks += progress is not None and progress.result is ProgressResult.verify_look
                if looks == 5:
                    live.show("print")
                    break
            assert (await last(replies))["result"] is not VerifyResult.verify_match

    scenario(swap())


@pytest.mark.parametrize("scene", ["leaving", "nobody"])
def test_a_face_that_keeps_leaving_is_never_enough(live: Agent, scene: str) -> None:
    live.show(scene)
    (*progress, end) = live.lines("verify", "--user", "anna")
    assert end["error"] == "Timeout"
    assert "verify_retry_no_face" in {line["progress"]["result"] for line in progress}


def test_a_print_can_neither_be_added_nor_open_a_secret(live: Agent) -> None:
    live.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    live.show("print")
    added = live.cli("enroll", "anna", "--add")
    assert (added.returncode, "not a live face" in added.stdout) == (1, True)
    opened = live.cli("unseal", "anna", "keyring")
    assert (opened.returncode, opened.stdout) == (1, "")
    live.show("anna")
    assert live.cli("unseal", "anna", "keyring").stdout == "correct horse"


def test_a_slow_camera_is_never_enough(live: Agent) -> None:
    live.configure("camera", fps=2)
    restart(live)
    (*progress, end) = live.lines("verify", "--user", "anna")
    assert end["error"] == "Timeout"
    assert "verify_retry_hold_still" in {line["progress"]["result"] for line in progress}
    assert "reason=too much time between two looks" in live.log


def test_a_frozen_camera_is_never_enough(live: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELATCH_TEST_FROZEN", "1")
    restart(live)
    live.show("still")
    (*_, end) = live.lines("verify", "--user", "anna")
    assert (end["error"], end["parameters"]["reason"]) == ("CameraUnavailable", "frozen")


def test_a_replay_can_never_satisfy_required(agent_with_anna: Agent) -> None:
    agent_with_anna.settings["liveness"] = "required"
    agent_with_anna.start()
    assert agent_with_anna.lines("status")[0]["liveness"] == "not_evaluated"
    (refused,) = agent_with_anna.lines("verify", "--user", "anna")
    assert refused["error"] == "CameraUnavailable"
    assert refused["parameters"]["reason"] == "misconfigured"
    assert agent_with_anna.cli("enroll", "anna", "--add").returncode == 2
