# SPDX-License-Identifier: Apache-2.0
"""``enroll --add``: an unlock followed by a refresh, by the real agent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Record, unseal
from tests.agent import Agent, agent_in_temporary_directory

HASTY = (sys.executable, str(Path(__file__).parents[1] / "hasty_agent.py"))


@pytest.fixture
def hasty(scenes: Path) -> Iterator[Agent]:
    """An agent for which a day is over at once; it knows anna and sees her."""
    with agent_in_temporary_directory(scenes, HASTY) as agent:
        agent.start()
        assert agent.cli("enroll", "anna").returncode == 0
        yield agent


def record_of(agent: Agent) -> Record:
    (path,) = agent.state.glob("*.rec")
    return unseal(path.read_bytes(), HostFileKey.load(agent.key), path.stem)


def test_a_look_moves_the_record_and_leaves_keys_and_secrets(hasty: Agent) -> None:
    hasty.cli("seal", "anna", "keyring", "--accept-weak", given="correct horse")
    before = record_of(hasty)
    added = hasty.cli("enroll", "anna", "--add")
    assert added.returncode == 0, added.stderr + added.stdout
    after = record_of(hasty)
    assert (after.header.generation, after.account.refreshes) == (1, 1)
    assert after.helper.verify_key == before.helper.verify_key
    assert after.helper.sketch.seed == before.helper.sketch.seed
    assert (after.helper.sketch.c != before.helper.sketch.c).any()
    assert hasty.cli("unseal", "anna", "keyring").stdout == "correct horse"


def test_nine_looks_move_it_eight_times(hasty: Agent) -> None:
    results = [hasty.cli("enroll", "anna", "--add").returncode for _ in range(9)]
    assert results == [0] * 8 + [1]
    assert record_of(hasty).account.refreshes == 8


def test_a_stranger_moves_nothing(hasty: Agent) -> None:
    before = record_of(hasty)
    hasty.show("stranger")
    refused = hasty.cli("enroll", "anna", "--add")
    assert refused.returncode == 1
    assert "not recognised" in refused.stdout
    assert record_of(hasty).header == before.header


def test_a_second_look_on_the_same_day_is_refused(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    refused = agent_with_anna.cli("enroll", "anna", "--add")
    assert refused.returncode == 1
    assert "at most once a day" in refused.stdout
    assert record_of(agent_with_anna).account.refreshes == 0


def test_nobody_is_added_to_who_is_not_enrolled(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    assert agent_with_anna.cli("enroll", "bob", "--add").returncode == 1
