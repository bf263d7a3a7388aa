# SPDX-License-Identifier: Apache-2.0
"""Poor enrolments: pictures spoilt on purpose and enrolled without the quality gate. Does one probe open them all?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from facelatch.camera.image_file import read_image
from facelatch.errors import CameraError
from facelatch.face.alignment import align
from facelatch.face.detector import Detector, Image
from facelatch.face.encoder import Fusion, unit
from facelatch.face.mesh import Mesh
from facelatch.face.quality import Limits, judge_crop, judge_landmarks, judge_place
from facelatch.models import DETECTOR, MESH, read_model
from facelatch.shipped import encoders

Embeddings = npt.NDArray[np.float32]
Spoils = Callable[[Image, npt.NDArray[np.float32]], Image]

_BLUR = 8.0
_DARK = 0.04
_GREY = 128


def _blurred(image: Image, _five: npt.NDArray[np.float32]) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR), dtype=np.uint8)


def _dark(image: Image, _five: npt.NDArray[np.float32]) -> Image:
    return np.asarray(image * _DARK, dtype=np.uint8)


def _masked(image: Image, five: npt.NDArray[np.float32]) -> Image:
    """Cover all that lies below the tip of the nose, as a mask does."""
    covered = image.copy()
    covered[max(0, int(five[2, 1])) :] = _GREY
    return covered


def _blank(image: Image, _five: npt.NDArray[np.float32]) -> Image:
    return np.full_like(image, _GREY)


SPOILT: Mapping[str, Spoils] = {"blurred": _blurred, "dark": _dark, "masked": _masked, "blank": _blank}


@dataclass
class Spoilt:
    """Pictures of one kind.

    Attributes:
        embeddings: of each person the embeddings of the pictures whose face could be found before it was spoilt.
        passed: pictures that the quality gate let through all the same.
        seen: pictures.
    """

    embeddings: dict[str, list[Embeddings]] = field(default_factory=dict)
    passed: int = 0
    seen: int = 0

    def enrolments(self, least: int) -> dict[str, Embeddings]:
        """Return the (d,) unit embedding of everyone of whom there are so many pictures."""
        return {name: unit(np.sum(looks, axis=0)) for name, looks in self.embeddings.items() if len(looks) >= least}


class Spoiler:
    """Finds the face in a good picture, spoils the picture, and encodes what is left of the face where it was."""

    def __init__(self) -> None:
        self._detector, self._mesh = Detector(read_model(DETECTOR)), Mesh(read_model(MESH))
        self._encoder: Fusion = encoders()
        self._limits = Limits()

    def spoil(self, path: Path, person: str, kinds: Mapping[str, Spoilt]) -> None:
        """Add one picture to each kind; one without a face is left out."""
        try:
            image = read_image(path)
        except CameraError:
            return
        faces = self._detector(image)
        if not faces:
            return
        five = self._mesh(image, faces[0]).five
        for kind, spoilt in kinds.items():
            worse = SPOILT[kind](image, five)
            crop = align(worse, five)
            spoilt.embeddings.setdefault(person, []).append(self._encoder(crop))
            spoilt.seen += 1
            spoilt.passed += self._passes(worse)

    def _passes(self, image: Image) -> bool:
        """Tell what the gate says, as ``FacePath`` asks it."""
        faces = self._detector(image)
        if judge_place(image, faces, self._limits) is not None:
            return False
        landmarks = self._mesh(image, faces[0])
        crop = align(image, landmarks.five)
        return judge_crop(crop, self._limits) is None and judge_landmarks(landmarks, self._limits) is None


def spoil(pictures: Sequence[tuple[str, Path]], step: Callable[[], None]) -> dict[str, Spoilt]:
    """Spoil pictures, each with whose it is, in every way."""
    spoiler, kinds = Spoiler(), {kind: Spoilt() for kind in SPOILT}
    for person, path in pictures:
        spoiler.spoil(path, person, kinds)
        step()
    return kinds
