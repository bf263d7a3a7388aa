# SPDX-License-Identifier: Apache-2.0
"""Who is attacked, and the pictures the attacker has of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facelatch.camera.image_file import read_image
from facelatch.face.alignment import align
from facelatch.face.detector import Detector
from facelatch.face.mesh import Mesh
from facelatch.models import DETECTOR, MESH, read_model
from tools import dataset
from tools.dataset import DatasetError, Embedded
from tools.decoding.tables import watched
from tools.redteam.inversion.drawing import Pictures
from tools.redteam.inversion.prior import Floats, units

# Images of an enrolment, as in docs/accuracy.md.
_ENROL = 5


@dataclass(frozen=True)
class Targets:
    """People attacked, those of several images first.

    Attributes:
        names: (m,) their folders.
        enrolled: (m, d) unit embeddings, as Gen gets them.
        others: (n, d) unit embedding of another image of each of the first n people.
    """

    names: npt.NDArray[np.str_]
    enrolled: Floats
    others: Floats

    @classmethod
    def choose(cls, data: Embedded, most: int, rng: np.random.Generator) -> Targets:
        """Choose so many people; the last image of those who have several is kept from their enrolment."""
        names, counts = np.unique(data.people, return_counts=True)
        order = rng.permutation(len(names))
        order = order[np.argsort(counts[order] < 2, kind="stable")][:most]
        rows = [np.flatnonzero(data.people == names[index]) for index in order]
        enrolled = [data.embeddings[r[: max(1, min(len(r) - 1, _ENROL))]].mean(axis=0) for r in rows]
        others = [data.units[r[-1]] for r in rows if len(r) > 1]
        empty = np.empty((0, data.embeddings.shape[1]))
        return cls(names[order], units(enrolled), units(others) if others else empty)

    @property
    def several(self) -> Targets:
        """Those who have another image."""
        return self.first(len(self.others))

    def first(self, count: int) -> Targets:
        """The first so many."""
        return Targets(self.names[:count], self.enrolled[:count], self.others[:count])


def files(folder: Path, data: Embedded) -> list[Path]:
    """Return the file of each of the data's rows.

    Raises:
        DatasetError: the folder is not the one that was embedded.
    """
    refused = {(image.person, image.file) for image in data.refused}
    images = [image for one in dataset.list_images(folder) for image in one]
    kept = [image for image in images if (image.parent.name, image.name) not in refused]
    if [image.parent.name for image in kept] != data.people.tolist():
        raise DatasetError(f"{folder} has changed since it was embedded", "run again")
    return kept


def crops(images: list[Path], label: str) -> Pictures:
    """Return the aligned crops (m, 112, 112, 3) of images that show a face, as the face path cuts them out."""
    detector, mesh = Detector(read_model(DETECTOR)), Mesh(read_model(MESH))
    found = []
    for file in watched(images, label):
        image = read_image(file)
        found.append(align(image, mesh(image, detector(image)[0]).five))
    return np.stack(found)
