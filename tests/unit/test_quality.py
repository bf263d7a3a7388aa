# SPDX-License-Identifier: Apache-2.0
"""Which faces are well placed, by made-up detections at the bounds."""

from __future__ import annotations

import numpy as np
import pytest

from facelatch.face.detector import Detection, KeyPoint
from facelatch.face.quality import Hint, Limits, judge_place

LIMITS = Limits()
PICTURE = np.zeros((480, 640, 3), np.uint8)


def face(left: float = 220, top: float = 140, side: float = 200, yaw: float = 0.0) -> Detection:
    """A square face whose eyes are 0.4 of its side apart."""
    points = np.zeros((len(KeyPoint), 2), np.float32)
    for point, x, y in (
        (KeyPoint.RIGHT_EYE, 0.3, 0.35),
        (KeyPoint.LEFT_EYE, 0.7, 0.35),
        (KeyPoint.NOSE, 0.5 + 0.4 * yaw, 0.55),
        (KeyPoint.MOUTH, 0.5, 0.75),
    ):
        points[point] = left + side * x, top + side * y
    return Detection(np.array([left, top, side, side], np.float32), points, 0.9)


@pytest.mark.parametrize(
    ("faces", "hint"),
    [
        ([face()], None),
        ([], Hint.NO_FACE),
        ([face(side=57)], None),
        ([face(side=55)], Hint.TOO_FAR),
        ([face(left=100, top=20, side=430)], None),
        ([face(left=100, top=20, side=434)], Hint.TOO_CLOSE),
        ([face(left=-50)], None),
        ([face(left=-61)], Hint.OFF_CENTRE),
        ([face(left=640 - 139)], Hint.OFF_CENTRE),
        ([face(top=-71)], Hint.OFF_CENTRE),
        ([face(top=331)], Hint.OFF_CENTRE),
        ([face(yaw=0.59)], None),
        ([face(yaw=0.61)], Hint.TURN_HEAD),
        ([face(yaw=-0.61)], Hint.TURN_HEAD),
        ([face(), face(side=150)], None),
        ([face(), face(side=160)], Hint.SEVERAL_FACES),
    ],
)
def test_a_face_is_judged_by_its_place(faces: list[Detection], hint: Hint | None) -> None:
    assert judge_place(PICTURE, faces, LIMITS) is hint
