# SPDX-License-Identifier: Apache-2.0
"""What one picture says: a network that looks at a face and what is round it, such as the edge of a print.

The network is one like MiniFASNet (Minivision, "Silent-Face-Anti-Spoofing"), with gates over channels; see the models'
manifest for where its weights are from.
"""

from __future__ import annotations

import cv2
import numpy as np

from facelatch.face.detector import Floats, Image
from facelatch.face.runtime import Network

# Of the face's larger side: the scale the network was trained at.
SCALE = 2.7
_LIVE = 0  # of its three classes; the others are kinds of pictures


class AntiSpoof:
    """Judges one look at a face.

    Args:
        model: bytes of the anti-spoofing model.

    Raises:
        ModelError: as ``Network``.
    """

    def __init__(self, model: bytes) -> None:
        self._network = Network(model, "anti-spoof")
        self._size = self._network.input_shape[1]

    def __call__(self, image: Image, points: Floats) -> float:
        """Return the log-odds that this is a face and not a picture of one.

        Args:
            image: (H, W, 3) uint8 RGB.
            points: (n, 2 or more) float32, the face's points in pixels, as ``Landmarks.points``.
        """
        left, top, side = surroundings(points, image.shape[1], image.shape[0])
        square = cv2.resize(image[top : top + side, left : left + side], (self._size, self._size))
        tensor = square[None, :, :, ::-1].astype(np.float32)  # BGR, as it was trained
        (logits,) = self._network(tensor)
        return log_odds(logits[0])


def surroundings(points: Floats, width: int, height: int) -> tuple[int, int, int]:
    """Return left, top and side of the square round a face, moved and shrunk into a picture of that size."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    side = max(1, min(round(float((high - low).max()) * SCALE), width, height))
    centre = (low + high) / 2
    left = min(max(round(float(centre[0]) - side / 2), 0), width - side)
    top = min(max(round(float(centre[1]) - side / 2), 0), height - side)
    return left, top, side


def log_odds(logits: Floats) -> float:
    """Return the log-odds of the class of live faces against all others, from (classes,) before the softmax."""
    values = logits.astype(np.float64)
    others = np.delete(values, _LIVE)
    return float(values[_LIVE] - np.logaddexp.reduce(others))
