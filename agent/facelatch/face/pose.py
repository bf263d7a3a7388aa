# SPDX-License-Identifier: Apache-2.0
"""Which way a head is turned, as far as its key points in one picture tell: for diversity, not for geometry."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from facelatch.face.detector import Floats, KeyPoint

# A nose stands out by about 0.4 eye distances, so this is a turn of some 14 degrees either way. Of people who were
# asked for nothing, yaw and pitch scatter by 0.03 within a session (13 sessions of nuaa-dev, standard deviations).
_TURNED = 0.10
_TILTED = 0.07


class Attitude(NamedTuple):
    """How a head is held, by where its nose is among eyes and mouth; a tilt of the picture changes neither.

    Attributes:
        yaw: how far the nose is off the middle between the eyes, towards the person's left, in eye distances.
        pitch: how far down the nose is on the way from the eyes to the mouth, 0 to 1; about a half straight ahead.
    """

    yaw: float = 0.0
    pitch: float = 0.5


STRAIGHT = Attitude()
"""Looking straight ahead, into a camera at eye level."""


class Pose(Enum):
    """A side that a face may show; right and left are the person's own."""

    AHEAD = auto()
    RIGHT = auto()
    LEFT = auto()
    UP = auto()
    DOWN = auto()


def attitude(points: Floats) -> Attitude:
    """Measure key points, (6, 2) as ``Detection`` has them; infinite where they are no face's."""
    right, left, nose, mouth = (
        points[point].astype(float) for point in (KeyPoint.RIGHT_EYE, KeyPoint.LEFT_EYE, KeyPoint.NOSE, KeyPoint.MOUTH)
    )
    across = left - right
    down = np.array([-across[1], across[0]])
    middle = (right + left) / 2
    distance, height = float(across @ across), float((mouth - middle) @ down)
    if distance <= 0 or height <= 0:
        return Attitude(math.inf, math.inf)
    return Attitude(float((nose - middle) @ across) / distance, float((nose - middle) @ down) / height)


def pose(seen: Attitude, rest: Attitude) -> Pose:
    """Judge an attitude by how the same head is held at rest: no camera hangs quite straight, and noses differ."""
    yaw, pitch = (seen.yaw - rest.yaw) / _TURNED, (seen.pitch - rest.pitch) / _TILTED
    if max(abs(yaw), abs(pitch)) < 1:
        return Pose.AHEAD
    if abs(yaw) >= abs(pitch):
        return Pose.LEFT if yaw > 0 else Pose.RIGHT
    return Pose.DOWN if pitch > 0 else Pose.UP
