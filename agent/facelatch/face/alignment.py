# SPDX-License-Identifier: Apache-2.0
"""Bring a face to the place the encoder was trained to see it in."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.face.detector import Floats, Image, KeyPoint

SIZE = 112
# Where eyes, nose and mouth lie in the 112x112 crops that ArcFace-style encoders are trained on (five points; Deng et
# al., arXiv 1801.07698, and its published code). The detector gives one mouth point: the mean of the two corners.
_TEMPLATE = {
    KeyPoint.RIGHT_EYE: (38.2946, 51.6963),
    KeyPoint.LEFT_EYE: (73.5318, 51.5014),
    KeyPoint.NOSE: (56.0252, 71.7366),
    KeyPoint.MOUTH: (56.1396, 92.2848),
}
_TARGET = np.array(list(_TEMPLATE.values()), dtype=np.float64)
_ROWS = [int(point) for point in _TEMPLATE]


def align(image: Image, points: Floats) -> Image:
    """Return the (112, 112, 3) uint8 RGB crop with the face at the template, by the least-squares similarity.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (6, 2) float32 key points in pixels.
    """
    matrix = similarity(points[_ROWS].astype(np.float64), _TARGET)
    return np.asarray(cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def similarity(source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the (2, 3) rotation, scale and shift that take source (n, 2) nearest to target (n, 2) in least squares.

    In the plane a similarity is multiplication by one complex number, so the fit is a complex regression.
    """
    centre_s, centre_t = source.mean(axis=0), target.mean(axis=0)
    s, t = source - centre_s, target - centre_t
    energy = (s * s).sum()
    a = (s * t).sum() / energy
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / energy
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, centre_t - linear @ centre_s])
