# SPDX-License-Identifier: Apache-2.0
"""Bring a face to the place the encoder was trained to see it in."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.face.detector import Detection, Floats, Image, KeyPoint

SIZE = 112
# Where the eyes, the tip of the nose and the corners of the mouth lie in the 112x112 crops that ArcFace-style encoders
# are trained on (Deng et al., arXiv 1801.07698, and its published code), as ``Landmarks.five`` has them.
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)],
    dtype=np.float64,
)
# The detector gives one point for the mouth: the middle between its corners.
_KEY_POINTS = [KeyPoint.RIGHT_EYE, KeyPoint.LEFT_EYE, KeyPoint.NOSE, KeyPoint.MOUTH]
_KEY_TEMPLATE = np.vstack([TEMPLATE[:3], TEMPLATE[3:].mean(axis=0)])


def align(image: Image, five: Floats) -> Image:
    """Return the (112, 112, 3) uint8 RGB crop with the face at the template, by the least-squares similarity.

    Args:
        image: (H, W, 3) uint8 RGB.
        five: (5, 2) float32 in pixels, as ``Landmarks.five``.
    """
    return _crop(image, five, TEMPLATE)


def align_roughly(image: Image, face: Detection) -> Image:
    """Return a crop like that of ``align`` from the detector's key points: good enough to judge the light by."""
    return _crop(image, face.points[_KEY_POINTS], _KEY_TEMPLATE)


def _crop(image: Image, points: Floats, template: npt.NDArray[np.float64]) -> Image:
    matrix = similarity(points.astype(np.float64), template)
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
