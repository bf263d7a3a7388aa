# SPDX-License-Identifier: Apache-2.0
"""``enroll --add``: an unlock followed by a refresh, by the real agent.

Who may only refresh themselves moves their record a little, within bounds; who may enrol joins another sitting to it.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Record, unseal
from tests.agent import NOBODY, Agent, Finished, agent_in_temporary_directory

HASTY = (sys.executable, str(Path(__file__).parents[1] / "hasty_agent.py"))


ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
THEMSELVES = pwd.getpwuid(NOBODY).pw_name


@pytest.fixture
def hasty(scenes: Path) -> Iterator[Agent]:
    """An agent for which a day is over at once; it knows anna, who is an ordinary user, and sees her."""
    with agent_in_temporary_directory(scenes, HASTY) as agent:
        agent.start()
        assert agent.cli("enroll", THEMSELVES).returncode == 0
        yield agent


def added(agent: Agent) -> Finished:
    return agent.as_nobody("enroll", THEMSELVES, "--add")


def record_of(agent: Agent) -> Record:
    (path,) = agent.state.glob("*.rec")
    return unseal(path.read_bytes(), HostFileKey.load(agent.key), path.stem)


@ONLY_ROOT
def test_a_look_moves_the_record_and_leaves_keys_and_secrets(hasty: Agent) -> None:
    hasty.cli("seal", THEMSELVES, "keyring", "--accept-weak", given="correct horse")
    before = record_of(hasty)
    result = added(hasty)
    assert result.returncode == 0, result.stderr + result.stdout
    after = record_of(hasty)
    assert (after.header.generation, after.account.refreshes) == (1, 1)
    assert after.helper.verify_key == before.helper.verify_key
    assert after.helper.sketch.seed == before.helper.sketch.seed
    assert (after.helper.sketch.c != before.helper.sketch.c).any()
    assert hasty.cli("unseal", THEMSELVES, "keyring").stdout == "correct horse"


@ONLY_ROOT
def test_nine_looks_move_it_eight_times(hasty: Agent) -> None:
    assert [added(hasty).returncode for _ in range(9)] == [0] * 8 + [1]
    assert record_of(hasty).account.refreshes == 8


@ONLY_ROOT
def test_a_stranger_moves_nothing(hasty: Agent) -> None:
    before = record_of(hasty)
    hasty.show("stranger")
    refused = added(hasty)
    assert refused.returncode == 1
    assert "not recognised" in refused.stdout
    assert record_of(hasty).header == before.header


@ONLY_ROOT
def test_a_second_look_on_the_same_day_is_refused(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    agent_with_anna.cli("remove", "anna")
    assert agent_with_anna.cli("enroll", THEMSELVES).returncode == 0
    refused = added(agent_with_anna)
    assert refused.returncode == 1
    assert "at most once a day" in refused.stdout
    assert record_of(agent_with_anna).account.refreshes == 0


def test_who_may_enrol_joins_sittings_on_the_same_day_until_there_are_enough(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    before = record_of(agent_with_anna)
    results = [agent_with_anna.cli("enroll", "anna", "--add") for _ in range(9)]
    assert [result.returncode for result in results] == [0] * 8 + [1]
    assert "enrol anew" in results[-1].stdout
    after = record_of(agent_with_anna)
    assert after.account.refreshes == 8
    assert after.helper.verify_key == before.helper.verify_key
    assert agent_with_anna.cli("verify", "--user", "anna").returncode == 0


def test_nobody_is_added_to_who_is_not_enrolled(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    assert agent_with_anna.cli("enroll", "bob", "--add").returncode == 1


def test_a_stranger_is_joined_to_nobody(agent_with_anna: Agent) -> None:
    agent_with_anna.start()
    before = record_of(agent_with_anna)
    agent_with_anna.show("stranger")
    assert agent_with_anna.cli("enroll", "anna", "--add").returncode == 1
    assert record_of(agent_with_anna).header == before.header
