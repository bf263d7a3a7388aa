# SPDX-License-Identifier: Apache-2.0
"""Is this look good enough to count? A poor one gives a hint to the person, never a failure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from facelatch.face.detector import Detection, Image, KeyPoint
from facelatch.face.mesh import Landmarks
from facelatch.face.pose import attitude


class Hint(StrEnum):
    """What to do for a better look (the wire words of ``Progress``)."""

    NO_FACE = "verify_retry_no_face"
    TOO_FAR = "verify_retry_too_far"
    TOO_CLOSE = "verify_retry_too_close"
    OFF_CENTRE = "verify_retry_off_centre"
    TOO_DARK = "verify_retry_too_dark"
    TOO_BRIGHT = "verify_retry_too_bright"
    BLURRED = "verify_retry_blurred"
    TURN_HEAD = "verify_retry_turn_head"
    SEVERAL_FACES = "verify_retry_several_faces"


@dataclass(frozen=True)
class Limits:
    """Bounds of a look that counts, set wide: they keep out looks that cannot help, not looks that are merely poor.

    Attributes:
        min_face: smallest face in pixels of box width; below it the crop is enlarged more than it holds.
        max_face: largest face as a share of the picture's shorter side.
        min_light, max_light: mean luminance of the crop, 0 to 255.
        min_sharpness: variance of the Laplacian over the crop's luminance (Pech-Pacheco et al., ICPR 2000).
        max_turn: how far the nose may be off the middle between the eyes, in eye distances.
        min_score: least confidence of the mesh that it sees a face; faces lit hard from one side have little of it.
        rival: a second face of this share of the first one's area makes it unclear who asks.
    """

    min_face: float = 56.0
    max_face: float = 0.9
    min_light: float = 40.0
    max_light: float = 225.0
    min_sharpness: float = 15.0
    max_turn: float = 0.6
    min_score: float = 0.1
    rival: float = 0.6


def judge_place(image: Image, faces: list[Detection], limits: Limits) -> Hint | None:
    """Judge where the faces are, before anything is cut out: None when the largest is well placed.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: what the detector saw, the largest first.
        limits: the bounds.
    """
    if not faces:
        return Hint.NO_FACE
    face = faces[0]
    height, width = image.shape[:2]
    if len(faces) > 1 and faces[1].area >= limits.rival * face.area:
        return Hint.SEVERAL_FACES
    if face.box[2] < limits.min_face:
        return Hint.TOO_FAR
    if face.box[2] > limits.max_face * min(height, width):
        return Hint.TOO_CLOSE
    inner = face.points[[KeyPoint.RIGHT_EYE, KeyPoint.LEFT_EYE, KeyPoint.NOSE, KeyPoint.MOUTH]]
    if np.any(inner < 0) or np.any(inner >= (width, height)):
        return Hint.OFF_CENTRE
    if abs(attitude(face.points).yaw) > limits.max_turn:
        return Hint.TURN_HEAD
    return None


def judge_landmarks(landmarks: Landmarks, limits: Limits) -> Hint | None:
    """Judge whether there is a face where the detector thought so: None when there is."""
    return None if landmarks.score >= limits.min_score else Hint.NO_FACE


def judge_crop(crop: Image, limits: Limits) -> Hint | None:
    """Judge the light and the sharpness of an aligned (112, 112, 3) uint8 RGB crop: None when good."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    light = float(grey.mean())
    if light < limits.min_light:
        return Hint.TOO_DARK
    if light > limits.max_light:
        return Hint.TOO_BRIGHT
    if float(cv2.Laplacian(grey, cv2.CV_32F).var()) < limits.min_sharpness:
        return Hint.BLURRED
    return None
