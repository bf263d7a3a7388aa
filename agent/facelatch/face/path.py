# SPDX-License-Identifier: Apache-2.0
"""The face path: one frame in, one embedding or one hint out."""

from __future__ import annotations

from dataclasses import dataclass

from facelatch.face.alignment import align
from facelatch.face.detector import Detector, Floats, Image
from facelatch.face.encoder import Fusion
from facelatch.face.liveness import AntiSpoof
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
        points: (468, 3) float32, as ``Landmarks.points``, or None when the frame does not count.
        live: log-odds that this is a face and not a picture of one, or None where that is not judged.
    """

    embedding: Floats | None = None
    hint: Hint | None = None
    attitude: Attitude = STRAIGHT
    points: Floats | None = None
    live: float | None = None


class FacePath:
    """Detects, measures, judges, aligns and encodes; holds the networks, so it is used by one thread at a time.

    Args:
        detector: finds the face.
        mesh: finds the points that it is aligned by.
        encoder: turn the aligned crop into an embedding.
        limits: the quality gate's bounds.
        anti_spoof: tells faces from pictures of them; None judges nothing. It may be exchanged between looks.
    """

    def __init__(
        self,
        detector: Detector,
        mesh: Mesh,
        encoder: Fusion,
        limits: Limits | None = None,
        anti_spoof: AntiSpoof | None = None,
    ) -> None:
        self._detector = detector
        self._mesh = mesh
        self._encoder = encoder
        self._limits = limits or Limits()
        self.anti_spoof = anti_spoof

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
        live = None if self.anti_spoof is None else self.anti_spoof(image, landmarks.points)
        return Look(self._encoder(crop), None, attitude(faces[0].points), landmarks.points, live)
