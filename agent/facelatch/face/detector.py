# SPDX-License-Identifier: Apache-2.0
"""Faces and their key points by BlazeFace, short range.

The network, its anchors and its output coding are described in Bazarevsky et al., "BlazeFace: Sub-millisecond Neural
Face Detection on Mobile GPUs", arXiv 1907.05047; the weights are MediaPipe's (see the models' manifest).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.face.runtime import Network

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# (cells a side, anchors a cell) of the two feature maps the network reads its 896 boxes from.
_FEATURE_MAPS = ((16, 2), (8, 6))
# Logits this far out are certain either way; clipping keeps exp() finite in float32.
_LOGIT_LIMIT = 80.0
MIN_SCORE = 0.5
# Boxes that overlap more than this (intersection over union) are looks at the same face and are averaged.
_SAME_FACE_OVERLAP = 0.3
# The second look crops this many box widths round the first one's box: the scale BlazeFace was trained to see best.
_REFINE_SCALE = 2.0


class KeyPoint(IntEnum):
    """Row of a key point; right and left are the person's own."""

    RIGHT_EYE = 0
    LEFT_EYE = 1
    NOSE = 2
    MOUTH = 3
    RIGHT_EAR = 4
    LEFT_EAR = 5


@dataclass(frozen=True)
class Detection:
    """One face, in pixels of the image it was found in.

    Attributes:
        box: (4,) float32, left, top, width, height.
        points: (6, 2) float32, x and y of each ``KeyPoint``.
        score: the detector's confidence, 0.5 to 1.
    """

    box: Floats
    points: Floats
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float(self.box[2] * self.box[3])


class Detector:
    """Finds faces in an image.

    Args:
        model: bytes of the BlazeFace short-range model.
    """

    def __init__(self, model: bytes) -> None:
        self._network = Network(model, "detector")
        self._size = self._network.input_shape[1]
        self._anchors = _anchors()

    def __call__(self, image: Image) -> list[Detection]:
        """Return every face in an (H, W, 3) uint8 RGB image, the largest first, its points refined by a second look."""
        height, width = image.shape[:2]
        side = max(height, width)
        faces = self._look(image, (width - side) // 2, (height - side) // 2, side)
        faces.sort(key=lambda face: face.area, reverse=True)
        if faces:
            faces[0] = self._refine(image, faces[0])
        return faces

    def _refine(self, image: Image, face: Detection) -> Detection:
        """Look again at one face up close; the first look stands where the second does not see it."""
        left, top, width, height = (float(v) for v in face.box)
        side = round(max(width, height) * _REFINE_SCALE)
        again = self._look(image, round(left + width / 2 - side / 2), round(top + height / 2 - side / 2), side)
        if not again:
            return face
        overlaps = _overlap(face.box, np.stack([other.box for other in again]))
        best = int(np.argmax(overlaps))
        return again[best] if overlaps[best] > _SAME_FACE_OVERLAP else face

    def _look(self, image: Image, left: int, top: int, side: int) -> list[Detection]:
        """Detect within the square at (left, top), which may reach beyond the image."""
        tensor = _square(image, left, top, side, self._size)[None].astype(np.float32)
        tensor /= np.float32(127.5)
        tensor -= np.float32(1)
        logits, coded = sorted(self._network(tensor), key=lambda output: output.shape[-1])
        scores = np.float32(1) / (np.float32(1) + np.exp(-np.clip(logits[0, :, 0], -_LOGIT_LIMIT, _LOGIT_LIMIT)))
        likely = scores >= MIN_SCORE
        boxes, points = _decode(coded[0, likely] / np.float32(self._size), self._anchors[likely])
        offset = np.array([left, top], dtype=np.float32)
        boxes *= side
        boxes[:, :2] += offset
        points = points * side + offset
        return _merge(boxes, points, scores[likely])


def _anchors() -> Floats:
    """(896, 2) float32 anchor centres, x and y as fractions of the input side."""
    grids = []
    for cells, per_cell in _FEATURE_MAPS:
        centres = (np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells)
        y, x = np.meshgrid(centres, centres, indexing="ij")
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0))
    return np.concatenate(grids)


def _decode(coded: Floats, anchors: Floats) -> tuple[Floats, Floats]:
    """Turn (n, 16) offsets from (n, 2) anchors into boxes (n, 4) and key points (n, 6, 2), as fractions of the side."""
    centre, size = coded[:, :2] + anchors, coded[:, 2:4]
    boxes = np.concatenate([centre - size / 2, size], axis=1)
    points = coded[:, 4:].reshape(-1, len(KeyPoint), 2) + anchors[:, None]
    return boxes, points


def _overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one (4,) box with each of (n, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    overlap: Floats = shared / (box[2:].prod() + boxes[:, 2:].prod(axis=1) - shared)
    return overlap


def _merge(boxes: Floats, points: Floats, scores: Floats) -> list[Detection]:
    """Average the boxes that see the same face, each weighted by its score (the BlazeFace paper's section 3.3)."""
    faces = []
    order = np.argsort(-scores)
    while order.size:
        same = _overlap(boxes[order[0]], boxes[order]) > _SAME_FACE_OVERLAP
        same[0] = True
        group = order[same]
        weight = scores[group] / scores[group].sum()
        faces.append(
            Detection(
                box=np.einsum("n,nc->c", weight, boxes[group]),
                points=np.einsum("n,npc->pc", weight, points[group]),
                score=float(scores[order[0]]),
            )
        )
        order = order[~same]
    return faces


def _square(image: Image, left: int, top: int, side: int, size: int) -> Image:
    """Cut the square at (left, top), black where it leaves the image, and scale it to (size, size, 3)."""
    height, width = image.shape[:2]
    inside = image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    if inside.size == 0:
        return np.zeros((size, size, 3), dtype=np.uint8)
    padded = cv2.copyMakeBorder(
        inside,
        max(-top, 0),
        max(top + side - height, 0),
        max(-left, 0),
        max(left + side - width, 0),
        cv2.BORDER_CONSTANT,
    )
    # Averaging when shrinking keeps fine texture from aliasing into the little picture.
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    scaled: Image = np.asarray(cv2.resize(padded, (size, size), interpolation=method), dtype=np.uint8)
    return scaled
