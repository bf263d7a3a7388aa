# SPDX-License-Identifier: Apache-2.0
"""Poses from key points, made up and of the portrait."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facelatch.face.detector import Floats, KeyPoint
from facelatch.face.pose import Attitude, Pose, attitude, pose
from facelatch.shipped import face_path
from tests.pictures import anna, turned

REST = Attitude(0.0, 0.5)


def face(nose: tuple[float, float] = (0.0, 0.5)) -> Floats:
    """Key points of a face with eyes two pixels apart, the mouth two below them, and the nose where it is put."""
    points = np.zeros((len(KeyPoint), 2), dtype=np.float32)
    points[KeyPoint.RIGHT_EYE], points[KeyPoint.LEFT_EYE], points[KeyPoint.MOUTH] = (-1, 0), (1, 0), (0, 2)
    points[KeyPoint.NOSE] = (2 * nose[0], 2 * nose[1])
    return points


@pytest.mark.parametrize("nose", [(0.0, 0.5), (0.25, 0.5), (-0.25, 0.4), (0.1, 0.7)])
@pytest.mark.parametrize("tilt", [0.0, 0.4, -1.5, math.pi])
def test_an_attitude_is_where_the_nose_is_whatever_the_place_size_and_tilt(
    nose: tuple[float, float], tilt: float
) -> None:
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]], dtype=np.float32)
    moved = 37 * face(nose) @ turn.T + np.array([300, -20], dtype=np.float32)
    assert attitude(moved) == pytest.approx(nose, abs=1e-4)


@pytest.mark.parametrize("broken", ["eyes in one place", "a mouth between the eyes", "a mouth above the eyes"])
def test_what_is_no_face_has_no_attitude(broken: str) -> None:
    points = face()
    if broken == "eyes in one place":
        points[KeyPoint.LEFT_EYE] = points[KeyPoint.RIGHT_EYE]
    else:
        points[KeyPoint.MOUTH] = (0, 0 if "between" in broken else -2)
    assert attitude(points) == Attitude(math.inf, math.inf)


@pytest.mark.parametrize(
    ("yaw", "pitch", "expected"),
    [
        (0.0, 0.0, Pose.AHEAD),
        (0.09, -0.06, Pose.AHEAD),
        (0.11, 0.0, Pose.LEFT),
        (-0.11, 0.0, Pose.RIGHT),
        (0.0, -0.08, Pose.UP),
        (0.0, 0.08, Pose.DOWN),
        (0.3, 0.1, Pose.LEFT),
        (-0.11, 0.2, Pose.DOWN),
    ],
)
@pytest.mark.parametrize("rest", [REST, Attitude(-0.2, 0.62)])
def test_a_pose_is_judged_by_how_the_head_is_at_rest(yaw: float, pitch: float, expected: Pose, rest: Attitude) -> None:
    assert pose(Attitude(rest.yaw + yaw, rest.pitch + pitch), rest) is expected


def test_poses_of_pictures() -> None:
    path = face_path()
    still = [path.look(picture).attitude for picture in anna(6)]
    rest = still[0]
    assert {pose(seen, rest) for seen in still} == {Pose.AHEAD}
    for picture, expected in (
        (turned(0.45), Pose.LEFT),
        (turned(-0.45), Pose.RIGHT),
        (turned(0, -0.4), Pose.UP),
        (turned(0, 0.4), Pose.DOWN),
    ):
        look = path.look(picture)
        assert look.hint is None
        assert pose(look.attitude, rest) is expected
