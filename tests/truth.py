# SPDX-License-Identifier: Apache-2.0
"""Computes what the agent must never tell: with its own code, from the frames it saw and the records it sealed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from facelatch import parameters
from facelatch.camera.image_file import read_image
from facelatch.daemon.attempts import LOOKS
from facelatch.face.alignment import align
from facelatch.face.detector import Detector, Image
from facelatch.face.encoder import Fusion, unit
from facelatch.face.mesh import Mesh
from facelatch.face.path import FacePath
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.rotation import rotation
from facelatch.models import DETECTOR, MESH, read_model
from facelatch.shipped import encoders
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import unseal
from tests.leaks import Needles, needles

Embedding = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class _Networks(NamedTuple):
    detector: Detector
    mesh: Mesh
    encoders: Fusion
    path: FacePath
    extractor: Extractor


@cache
def _networks() -> _Networks:
    detector, mesh = Detector(read_model(DETECTOR)), Mesh(read_model(MESH))
    fusion = encoders()
    path = FacePath(detector, mesh, fusion)
    return _Networks(detector, mesh, fusion, path, Extractor(parameters.read("standard")))


class Person:
    """What the agent sees of the frames of a folder, of which every one must count.

    Attributes:
        embeddings: (frames, d), as the encoder gives them.
        looks: (looks, d), of the first ``LOOKS[-1]`` looks, as the camera loops.
        vectors: every embedding and every mean of them that the agent makes, of length one, by name.
        sums: what the means are made from, down to the networks' outputs, by name.
        images: frames and crops, by name.
        files: the picture files, by name.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.iterdir(), key=lambda path: int(path.stem))
        images = [read_image(path) for path in files]
        self.name = folder.name
        self.files = {f"{self.name} file {path.name}": path.read_bytes() for path in files}
        self.embeddings = np.stack([_embed(image) for image in images])
        self.looks = np.resize(self.embeddings, (LOOKS[-1], self.embeddings.shape[1]))
        self.images: dict[str, Image] = {}
        self.vectors: dict[str, Embedding] = {}
        self.sums: dict[str, Embedding] = {}
        networks = _networks()
        for number, image in enumerate(images):
            crop = align(image, networks.mesh(image, networks.detector(image)[0]).five)
            self.images[f"{self.name} frame {number}"] = image
            self.images[f"{self.name} crop {number}"] = crop
            for index, encoder in enumerate(networks.encoders.encoders):
                self.sums[f"{self.name} output {index} of frame {number}"] = encoder.output(crop)
                self.sums[f"{self.name} weighed output {index} of frame {number}"] = encoder(crop)
        for number in range(len(images)):
            self._add(f"{self.name} embedding {number}", self.embeddings[number : number + 1])
        for count in LOOKS:
            self._add(f"{self.name} after {count}", self.looks[:count])

    def enrolment(self, frames: int) -> Embedding:
        """Add the means of an enrolment, in which every third look is kept aside; return the one that is enrolled."""
        looks = np.resize(self.embeddings, (frames, self.embeddings.shape[1]))
        aside = np.arange(frames) % 3 == 2
        self._add(f"{self.name} first part", looks[~aside])
        self._add(f"{self.name} kept aside", looks[aside])
        return self._add(f"{self.name} enrolled", looks)

    def _add(self, name: str, looks: Embedding) -> Embedding:
        self.sums[name] = looks.sum(axis=0)
        self.vectors[name] = unit(self.sums[name])
        return self.vectors[name]


class Truth:
    """Everything that is to be searched for.

    Args:
        people: who was before the camera.
    """

    def __init__(self, people: list[Person]) -> None:
        self._people = people
        self._vectors: dict[str, npt.ArrayLike] = {}
        self._integers: dict[str, Integers] = {}
        self._figures: dict[str, float] = {}
        self._secrets: dict[str, bytes] = {}
        project, expect = _networks().extractor.project, _networks().extractor.expect
        for person in people:
            for name, vector in person.vectors.items():
                self._vectors[f"embedding: {name}"] = vector
                self._vectors[f"projection: {name}"] = project(vector)
                self._vectors[f"expected: {name}"] = expect(vector)
            for name, vector in person.sums.items():
                self._vectors[f"sum: {name}"] = vector

    def add_record(self, name: str, data: bytes, key: Path, enrolled: Embedding) -> None:
        """Open a record with the device's key and the owner's face, as only this test can; add all that is in it.

        Args:
            name: what to call it.
            data: the record's file.
            key: the device key's file.
            enrolled: the embedding it was made from, which must be the very one.
        """
        record_id = Path(name).stem
        device_key = HostFileKey.load(key)
        record = unseal(data, device_key, record_id)
        extractor = _networks().extractor
        p = extractor.parameters
        turn = rotation(record.helper.sketch.seed, p.k)
        (found,) = extractor.candidates(enrolled, [record.helper.sketch])[:1]
        noise = _centred(record.helper.sketch.c - found.point, p.lattice.modulus)
        # This is what shows that the values searched for are the agent's own, to the last bit.
        assert np.array_equal(noise, np.rint(p.scale * (turn @ extractor.project(enrolled))).astype(np.int64))
        secret = extractor.secret(found.point, record.helper, record.context(device_key))
        assert secret is not None

        generation = f"generation {record.header.generation}"
        self._secrets[f"secret of {generation}"] = secret
        self._integers[f"point of {generation}"] = found.point
        self._integers[f"noise of {generation}"] = noise
        self._integers[f"noise mod Q of {generation}"] = noise % p.lattice.modulus
        self._integers[f"sketch of {generation}"] = record.helper.sketch.c
        for person in self._people:
            for label, vector in person.vectors.items():
                turned = turn @ extractor.project(vector)
                self._vectors[f"turned projection: {label}, {generation}"] = turned
                self._vectors[f"turned expected: {label}, {generation}"] = turn @ extractor.expect(vector)
                self._vectors[f"scaled projection: {label}, {generation}"] = p.scale * turned
                self._add_figures(f"{label}, {generation}", noise, turn, enrolled, vector)

    def _add_figures(self, name: str, noise: Integers, turn: Floats, enrolled: Embedding, attempt: Embedding) -> None:
        p = _networks().extractor.parameters
        distance = float(np.linalg.norm(noise - p.scale * (turn @ _networks().extractor.expect(attempt))))
        share = distance / p.scale / p.accept_radius
        self._figures |= {
            f"distance: {name}": distance,
            f"distance in deviations: {name}": distance / p.scale,
            f"squared distance: {name}": distance**2,
            f"squared distance in deviations: {name}": (distance / p.scale) ** 2,
            f"share of the radius: {name}": share,
            f"score: {name}": 1 - share,
            f"cosine: {name}": float(enrolled @ attempt),
        }

    def distances(self, attempt: str) -> list[float]:
        """Distances in deviations of the attempts whose name begins so."""
        start = f"distance in deviations: {attempt}"
        return [value for name, value in self._figures.items() if name.startswith(start)]

    def needles(self) -> Needles:
        """Prepare the search."""
        images = {name: image for person in self._people for name, image in person.images.items()}
        files = {name: data for person in self._people for name, data in person.files.items()}
        return needles(self._vectors, self._integers, self._figures, images, files, self._secrets)


def extractor() -> Extractor:
    """What the agent finds keys with."""
    return _networks().extractor


def accept_radius() -> float:
    """Largest distance of a match, in deviations."""
    return _networks().extractor.parameters.accept_radius


def _embed(image: Image) -> Embedding:
    look = _networks().path.look(image)
    assert look.embedding is not None, f"a frame meant to count does not: {look.hint}"
    return look.embedding


def _centred(values: Integers, modulus: int) -> Integers:
    return (values + modulus // 2) % modulus - modulus // 2
