# SPDX-License-Identifier: Apache-2.0
"""Made-up points of a head and of a flat picture of it, turned before a pinhole camera; no network has seen them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facelatch.face.mesh import POINTS

Points = npt.NDArray[np.float32]

_FOCAL, _DISTANCE, _WIDTH = 700.0, 600.0, 75.0
# Where the eyes' corners and the tip of the nose lie on the mesh, by the numbers it gives them: right, left, nose.
_PLACES = {33: (-45, -25), 133: (-18, -25), 263: (45, -25), 362: (18, -25), 1: (0, 15)}


def surface(*, flat: bool = False) -> npt.NDArray[np.float64]:
    """Points on a face, (468, 3), millimetres: half a ball with a nose, or the same pressed flat."""
    points = np.random.default_rng(7).uniform(-1, 1, (POINTS, 3)) * [_WIDTH, 90, 0]
    for number, place in _PLACES.items():
        points[number, :2] = place
    x, y = points[:, 0], points[:, 1]
    if not flat:
        ball = 70 * np.sqrt(np.maximum(0, 1 - (x / 90) ** 2 - (y / 110) ** 2))
        points[:, 2] = -ball - 25 * np.exp(-(x**2 + (y - 15) ** 2) / 300)
    return points


def seen(points: npt.NDArray[np.float64], degrees: float = 0.0, shake: int | None = 0) -> Points:
    """Where a camera sees them, (468, 3) float32 in pixels, turned to the person's left; ``shake`` seeds some noise.

    The picture is not mirrored: the person's left is on its right.
    """
    angle = np.radians(degrees)
    x = points[:, 0] * np.cos(angle) - points[:, 2] * np.sin(angle)
    z = points[:, 0] * np.sin(angle) + points[:, 2] * np.cos(angle)
    scale = _FOCAL / (_DISTANCE + z)
    image = np.column_stack([320 + scale * x, 240 + scale * points[:, 1], z])
    if shake is not None:
        image[:, :2] += np.random.default_rng(shake).normal(0, 0.2, (POINTS, 2))
    return image.astype(np.float32)
