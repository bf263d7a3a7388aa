# SPDX-License-Identifier: Apache-2.0
"""The face path: one frame in, one embedding or one hint out."""

from __future__ import annotations

from dataclasses import dataclass

from facelatch.face.alignment import align
from facelatch.face.detector import Detector, Floats, Image
from facelatch.face.encoder import Fusion
from facelatch.face.mesh import Mesh
from facelatch.face.pose import STRAIGHT, Attitude, attitude
from facelatch.face.quality import Hint, Limits, judge_crop, judge_landmarks, judge_place


@dataclass(frozen=True)
class Look:
    """What one frame gave.

    Attributes:
        embedding: (d,) float32 of length about 1, or None when the frame does not count. A face is the direction of
            a sum of them.
        hint: why it does not, or None when it does.
        attitude: how the head is held; of no meaning when the frame does not count.
    """

    embedding: Floats | None = None
    hint: Hint | None = None
    attitude: Attitude = STRAIGHT


class FacePath:
    """Detects, measures, judges, aligns and encodes; holds the networks, so it is used by one thread at a time.

    Args:
        detector: finds the face.
        mesh: finds the points that it is aligned by.
        encoder: turn the aligned crop into an embedding.
        limits: the quality gate's bounds.
    """

    def __init__(self, detector: Detector, mesh: Mesh, encoder: Fusion, limits: Limits | None = None) -> None:
        self._detector = detector
        self._mesh = mesh
        self._encoder = encoder
        self._limits = limits or Limits()

    def look(self, image: Image) -> Look:
        """Look at one (H, W, 3) uint8 RGB frame."""
        faces = self._detector(image)
        hint = judge_place(image, faces, self._limits)
        if hint is not None:
            return Look(hint=hint)
        landmarks = self._mesh(image, faces[0])
        crop = align(image, landmarks.five)
        # What is too dark or too blurred for the mesh is told so: that helps more than "no face".
        hint = judge_crop(crop, self._limits) or judge_landmarks(landmarks, self._limits)
        if hint is not None:
            return Look(hint=hint)
        return Look(embedding=self._encoder(crop), attitude=attitude(faces[0].points))
