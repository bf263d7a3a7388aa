# SPDX-License-Identifier: Apache-2.0
"""How the camera sees a face, in coarse figures: for mounting the camera, without a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facelatch.face.alignment import align_roughly
from facelatch.face.detector import Detection, Image
from facelatch.face.quality import Hint, Limits, judge_crop, judge_place

_STEP = 5
# From a wall to a crisp portrait the variance of the Laplacian spans this many powers of ten.
_SHARPEST_LOG = 3.5


@dataclass(frozen=True)
class Placement:
    """Where the largest face is; all in percent of the picture, in steps of 5.

    Attributes:
        across: its middle, -100 at the left edge of the picture to 100 at the right.
        down: its middle, -100 at the top to 100 at the bottom.
        width: of the face, of the picture's width.
        height: of the face, of the picture's height.
        sharpness: 0 for no detail to 10 for much, 3 or so being the least that counts.
    """

    across: int
    down: int
    width: int
    height: int
    sharpness: int


@dataclass(frozen=True)
class View:
    """What one frame shows.

    Attributes:
        face: where the face is, or None where there is none.
        light: 0 black to 10 white, of the face, or of the whole picture where there is none.
        hint: why the look would not count, or None when it would.
    """

    face: Placement | None
    light: int
    hint: Hint | None


def view(image: Image, faces: list[Detection], limits: Limits) -> View:
    """Describe an (H, W, 3) uint8 RGB frame.

    Args:
        image: the frame.
        faces: what the detector saw in it, the largest first.
        limits: the quality gate's bounds.
    """
    hint = judge_place(image, faces, limits)
    if not faces:
        return View(None, _tenths(float(image.mean()) / 255), hint)
    crop = align_roughly(image, faces[0])
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY))
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).var())
    sharpness = _tenths(math.log10(max(detail, 1.0)) / _SHARPEST_LOG)
    light = _tenths(float(grey.mean()) / 255)
    return View(_placement(image, faces[0], sharpness), light, hint or judge_crop(crop, limits))


def _placement(image: Image, face: Detection, sharpness: int) -> Placement:
    rows, columns = image.shape[:2]
    left, top, width, height = (float(v) for v in face.box)
    return Placement(
        across=_percent((2 * left + width) / columns - 1),
        down=_percent((2 * top + height) / rows - 1),
        width=_percent(width / columns),
        height=_percent(height / rows),
        sharpness=sharpness,
    )


def _percent(share: float) -> int:
    return _STEP * round(max(-1.0, min(share, 1.0)) * 100 / _STEP)


def _tenths(share: float) -> int:
    return round(10 * max(0.0, min(share, 1.0)))
