# SPDX-License-Identifier: Apache-2.0
"""Somebody else for the demo: the portrait again, its features moved until the encoder sees another person.

No second portrait that may be passed on is at hand, so the first is warped, and the demo says so. Which warps give a
stranger cannot be told beforehand (the embedding does not move evenly away as a warp grows): the one below was found
by trying some thousand random ones, keeping those that fold nothing, and moving the knots of the best one at a time.
What it gives is checked each time the demo runs.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.camera.protocol import Image
from facelatch.demo.session import FACE

# How far each knot of a 6 x 6 grid over the face is pulled, in portrait pixels: the left half, which the right mirrors.
_SIDEWAYS = ((7, -3, -2), (-3, 0, -7), (3, -2, -9), (3, 4, 1), (0, 2, 1), (-8, 3, -3))
_DOWN = ((0, -1, -1), (1, -1, 0), (6, 0, -1), (-6, -8, -1), (2, 1, 4), (-5, 1, 0))
_SPACING: Final = 24.0
# Each knot pulls on its neighbourhood, less and less, with this standard deviation.
_REACH: Final = 0.75 * _SPACING


def stranger(portrait: Image) -> Image:
    """Return the portrait, (512, 512, 3) uint8 RGB, as another person."""
    height, width = portrait.shape[:2]
    left, down = np.array(_SIDEWAYS), np.array(_DOWN)
    rows, columns = _pull(height, FACE[1], len(left)), _pull(width, FACE[0], len(left))
    x = rows @ np.hstack([left, -left[:, ::-1]]) @ columns.T + np.arange(width)
    y = rows @ np.hstack([down, down[:, ::-1]]) @ columns.T + np.arange(height)[:, None]
    warped = cv2.remap(
        portrait, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(warped, dtype=np.uint8)


def _pull(size: int, centre: float, knots: int) -> npt.NDArray[np.float64]:
    """Return (size, knots): how much each knot of one axis counts at each pixel."""
    at = centre + (np.arange(knots) - (knots - 1) / 2) * _SPACING
    away = (np.arange(size)[:, None] - at) / _REACH
    return np.exp(-(away**2) / 2)
