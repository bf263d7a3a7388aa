# SPDX-License-Identifier: Apache-2.0
"""Enrolment in several poses, by the real agent: it asks for them, and insists on none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agent import Agent
from tests.pictures import Picture, anna, save, turned

# Looks enough for two of each pose.
FRAMES = 10
LEFT, RIGHT, UP, DOWN = (0.45, 0.0), (-0.45, 0.0), (0.0, -0.4), (0.0, 0.4)
POSES: list[Picture] = [turned(*angles) for angles in (LEFT, RIGHT, UP, DOWN)]


@pytest.fixture
def asking(idle_agent: Agent) -> Agent:
    """An agent that takes two looks of each pose."""
    idle_agent.configure("enroll", frames=FRAMES)
    idle_agent.start()
    return idle_agent


def enrol(agent: Agent, folder: Path, pictures: list[Picture]) -> tuple[list[str], dict[str, Any]]:
    """Enrol who is in some pictures, shown over and over; return what each look gave, and the result."""
    agent.show(str(save(folder, pictures)))
    *progress, result = agent.lines("enroll", "anna")
    told = [reply["progress"] for reply in progress]
    left = [look["remaining"] for look in told if look["result"] == "enroll_stage_passed"]
    assert left == list(range(FRAMES))[::-1]
    assert {look["remaining"] for look in told if look["result"] == "enroll_retry_pose"} <= {None}
    return [look["result"] for look in told], result


def test_whoever_turns_is_taken_from_every_side(asking: Agent, tmp_path: Path) -> None:
    told, result = enrol(asking, tmp_path / "turning", anna(2) + POSES)
    assert result["result"] == "enroll_completed"
    # Two looks straight ahead and one of every side; then two more straight ahead, which are enough by now.
    assert told == ["enroll_stage_passed"] * 6 + ["enroll_retry_pose"] * 2 + ["enroll_stage_passed"] * 4


def test_a_still_picture_is_asked_to_turn_and_enrolled_all_the_same(asking: Agent, tmp_path: Path) -> None:
    told, result = enrol(asking, tmp_path / "still", anna(1))
    assert result["result"] == "enroll_completed"
    assert told == ["enroll_stage_passed"] * 2 + ["enroll_retry_pose"] * FRAMES + ["enroll_stage_passed"] * 8


def test_a_person_is_told_in_a_sentence(asking: Agent) -> None:
    said = asking.cli("enroll", "anna").stdout.splitlines()
    assert "turn your head a little: to one side, to the other, up or down" in said
    assert said[-1] == "enrolled"


@pytest.mark.parametrize(("pictures", "status"), [(anna(2) + POSES, 0), (anna(6), 1)], ids=["turned", "control: still"])
def test_a_record_of_several_poses_opens_for_a_turned_head(
    asking: Agent, tmp_path: Path, pictures: list[Picture], status: int
) -> None:
    enrol(asking, tmp_path / "enrolled", pictures)
    # Some 6 within-person deviations from the one record, and 11 from the other; up to 9 are accepted.
    asking.show(str(save(tmp_path / "later", [turned(-0.42)])))
    assert asking.cli("verify").returncode == status
