# SPDX-License-Identifier: Apache-2.0
"""What motion says: two views of a flat picture differ by a homography, two views of a head do not.

So the residual of the best homography between the points of two looks is parallax (Hartley and Zisserman, "Multiple
View Geometry", chapter 13). The points come from a network that knows faces and not this one, which limits it: it sees
the same nose in a bent print as in a face. Measured figures are in docs/liveness.md.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facelatch.face.detector import Floats

_RIGHT_EYE = [33, 133]
_LEFT_EYE = [263, 362]
_NOSE_TIP = 1


def turned(points: Floats) -> float:
    """Return how far the tip of the nose is off the middle between the eyes, in eye distances.

    Towards the person's left is positive; 0.25 is a turn of some 25 degrees.

    Args:
        points: (468, 2 or more) float32, as ``Landmarks.points``.
    """
    plane = points[:, :2].astype(np.float64)
    right, left = plane[_RIGHT_EYE].mean(axis=0), plane[_LEFT_EYE].mean(axis=0)
    across = left - right
    distance = float(across @ across)
    if distance <= 0:
        return math.inf
    return float((plane[_NOSE_TIP] - (right + left) / 2) @ across) / distance


def parallax(before: Floats, after: Floats) -> float:
    """Return the residual of the best homography between two views of a face, in percent of the face's radius.

    Root mean square over the points; the radius is their mean distance to their centre, divided by the root of two.
    The fit is Hartley's normalised direct linear transform.

    Args:
        before: (n, 2 or more), the points of one look.
        after: of the same shape, those of another.
    """
    source, target = _normalised(before), _normalised(after)
    homogeneous = np.column_stack([source, np.ones(len(source))])
    zero = np.zeros_like(homogeneous)
    rows = np.block(
        [
            [homogeneous, zero, -target[:, :1] * homogeneous],
            [zero, homogeneous, -target[:, 1:] * homogeneous],
        ]
    )
    _, vectors = np.linalg.eigh(rows.T @ rows)
    mapped = homogeneous @ vectors[:, 0].reshape(3, 3).T
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = float(np.sqrt(((mapped[:, :2] / mapped[:, 2:] - target) ** 2).sum(axis=1).mean()))
    return 100 * residual if math.isfinite(residual) else math.inf


def _normalised(points: Floats) -> npt.NDArray[np.float64]:
    """Shift (n, 2 or more) to their centre and scale them to a mean distance of the root of two from it; (n, 2)."""
    plane = points[:, :2].astype(np.float64)
    plane -= plane.mean(axis=0)
    plane *= math.sqrt(2) / np.linalg.norm(plane, axis=1).mean()
    return plane
