# SPDX-License-Identifier: Apache-2.0
"""The surface of a face, as 468 points, by MediaPipe's face mesh.

The network is described in Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs",
arXiv 1907.06724; the weights are MediaPipe's (see the models' manifest), and so is the numbering of the points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.face.detector import Detection, Floats, Image, KeyPoint
from facelatch.face.runtime import Network

POINTS = 468
# The square that the network sees is this many times the detector's box: the scale it was trained on.
_CROP_SCALE = 1.5
# An eye's corners and the middles of its lids: their mean stays where it is when the eye looks aside.
_RIGHT_EYE = [33, 133, 159, 145]
_LEFT_EYE = [263, 362, 386, 374]
_NOSE_TIP = 1
_MOUTH_CORNERS = [61, 291]


@dataclass(frozen=True)
class Landmarks:
    """The points of one face.

    Attributes:
        points: (468, 3) float32, x and y in pixels of the image the face was found in, and depth at the same scale:
            less is nearer to the camera, 0 about the middle of the head.
        score: the network's confidence that this is a face, 0 to 1.
    """

    points: Floats
    score: float

    @property
    def five(self) -> Floats:
        """(5, 2) float32 in pixels: right eye, left eye, tip of the nose, right and left corner of the mouth."""
        plane = self.points[:, :2]
        eyes = [plane[_RIGHT_EYE].mean(axis=0), plane[_LEFT_EYE].mean(axis=0)]
        return np.stack([*eyes, plane[_NOSE_TIP], *plane[_MOUTH_CORNERS]])


class Mesh:
    """Finds the points of a face that has been detected.

    Args:
        model: bytes of the face mesh model.

    Raises:
        ModelError: as ``Network``.
    """

    def __init__(self, model: bytes) -> None:
        self._network = Network(model, "mesh")
        self._size = self._network.input_shape[1]

    def __call__(self, image: Image, face: Detection) -> Landmarks:
        """Return the points of a face in an (H, W, 3) uint8 RGB image; they are of no meaning where the score is low.

        Args:
            image: what the face was found in; the square round it may reach beyond the image, and is black there.
            face: the detection; only its box and its eyes are used.
        """
        matrix = upright(face, self._size)
        crop = cv2.warpAffine(image, matrix, (self._size, self._size), flags=cv2.INTER_LINEAR)
        tensor = crop[None].astype(np.float32) / np.float32(255)
        score, points = sorted(self._network(tensor), key=lambda output: output.size)
        return Landmarks(restore(points.reshape(POINTS, 3), matrix), _sigmoid(score.item()))


def upright(face: Detection, size: int) -> npt.NDArray[np.float64]:
    """Return the (2, 3) similarity that takes the square round a face, its eyes level, to (size, size) pixels."""
    box = face.box.astype(np.float64)
    across = (face.points[KeyPoint.LEFT_EYE] - face.points[KeyPoint.RIGHT_EYE]).astype(np.float64)
    tilt = math.atan2(across[1], across[0])
    scale = size / (_CROP_SCALE * box[2:].max())
    cos, sin = scale * math.cos(tilt), scale * math.sin(tilt)
    linear = np.array([[cos, sin], [-sin, cos]])
    return np.column_stack([linear, size / 2 - linear @ (box[:2] + box[2:] / 2)])


def restore(points: Floats, matrix: npt.NDArray[np.float64]) -> Floats:
    """Take (n, 3) points back to where they were before the (2, 3) similarity ``matrix``; float32.

    The inverse of a turn is its transpose, and points are rows here, so the two transposes cancel.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    scale = math.sqrt(np.linalg.det(linear))
    plane = (points[:, :2] - shift) @ linear / scale**2
    return np.column_stack([plane, points[:, 2] / scale]).astype(np.float32)


def _sigmoid(logit: float) -> float:
    # This form does not overflow, however certain the network is.
    return (1 + math.tanh(logit / 2)) / 2
