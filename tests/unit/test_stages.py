# SPDX-License-Identifier: Apache-2.0
"""Which good looks of an enrolment count: as diverse as they are offered, and no more is asked than may be."""

from __future__ import annotations

from collections import Counter

import pytest

from facelatch.daemon.attempts import EnrolmentPlan
from facelatch.daemon.stages import Stages
from facelatch.face.pose import STRAIGHT, Attitude, Pose, pose

TURNS = {
    Pose.AHEAD: STRAIGHT,
    Pose.RIGHT: Attitude(yaw=-0.3),
    Pose.LEFT: Attitude(yaw=0.3),
    Pose.UP: Attitude(pitch=0.3),
    Pose.DOWN: Attitude(pitch=0.7),
}


def taken(offered: list[Attitude], looks: int, patience: int) -> list[Attitude]:
    stages = Stages(looks, patience)
    return [attitude for attitude in offered if stages.takes(attitude)][:looks]


def test_of_all_poses_alike_where_all_are_offered() -> None:
    offered = [TURNS[turn] for turn in Pose for _ in range(100)]
    kept = taken(offered, looks=25, patience=1000)
    assert Counter(pose(attitude, STRAIGHT) for attitude in kept) == dict.fromkeys(Pose, 5)


def test_control_without_patience_the_first_pose_fills_it() -> None:
    offered = [TURNS[turn] for turn in Pose for _ in range(100)]
    assert set(taken(offered, looks=25, patience=0)) == {STRAIGHT}


@pytest.mark.parametrize("patience", [0, 1, 24])
def test_whoever_does_not_turn_is_asked_so_often_and_then_taken(patience: int) -> None:
    stages = Stages(24, patience)
    answers = [stages.takes(STRAIGHT) for _ in range(24 + patience)]
    assert answers == [True] * 5 + [False] * patience + [True] * 19


def test_a_pose_that_comes_late_counts_at_once() -> None:
    stages = Stages(10, patience=10)
    assert [stages.takes(STRAIGHT) for _ in range(4)] == [True, True, False, False]
    assert stages.takes(TURNS[Pose.UP])
    assert not stages.takes(STRAIGHT)


def test_the_first_look_after_those_of_rest_is_judged_by_them() -> None:
    stages = Stages(10, patience=10)
    assert [stages.takes(attitude) for attitude in (STRAIGHT, STRAIGHT, TURNS[Pose.UP])] == [True] * 3


def test_rest_is_how_the_head_was_held_first() -> None:
    """Whoever stands beside the camera is asked to turn from there, and one odd look at first does not matter."""
    beside = Attitude(yaw=0.3)
    stages = Stages(15, patience=15)
    assert [stages.takes(attitude) for attitude in (beside, STRAIGHT, beside)] == [True] * 3
    assert not stages.takes(beside)
    assert stages.takes(STRAIGHT)


@pytest.mark.parametrize(
    ("seconds", "timeout", "patience"),
    [(6.0, 60.0, 24), (6.0, 18.0, 24), (6.0, 12.0, 12), (6.0, 6.0, 0), (6.0, 1.0, 0)],
)
def test_asking_leaves_time_to_be_enrolled(seconds: float, timeout: float, patience: int) -> None:
    plan = EnrolmentPlan("anna", administrator=False, frames=24, seconds=seconds, timeout=timeout)
    assert plan.patience == patience
