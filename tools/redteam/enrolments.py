# SPDX-License-Identifier: Apache-2.0
"""Several enrolments of one person, each from other images, and the records that hide them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facelatch.face.encoder import unit
from tools import trials
from tools.decoding import faces
from tools.redteam.lattices import Lattice
from tools.redteam.part import Job
from tools.redteam.search import Floats, Integers

# Basis vectors added to hide the face: any number will do.
_FAR = 1000


@dataclass(frozen=True)
class Record:
    """A record as it leaks, and the truth behind it.

    Attributes:
        c: (k,) int64, the sketch, not reduced modulo Q, which hides nothing more.
        rotation: (k, k) U.
        w: (k,) int64, round(D U y).
    """

    c: Integers
    rotation: Floats
    w: Integers


def several(job: Job, times: int) -> Floats:
    """Enrol everyone who has images enough, by a model fitted without them; an image serves once.

    Returns:
        (m, times, k) enrolment vectors.
    """
    data, images = job.data, trials.Protocol().enrol
    rng = np.random.default_rng([job.seed, 4])
    found = []
    for projection, held_out in job.folds:
        for name in np.unique(data.people[held_out]):
            rows = np.flatnonzero(data.people == name)
            if len(rows) >= images * times:
                chosen = rng.permutation(rows)[: images * times].reshape(times, images)
                found.append([projection(unit(data.embeddings[own].sum(axis=0))) for own in chosen])
    return np.array(found).reshape(len(found), times, job.parameters.k)


def hide(y: Floats, basis: Integers, scale: float, rotation: Floats, rng: np.random.Generator) -> Record:
    """Hide an enrolment vector (k,) behind a random point, as Gen does."""
    w: Integers = np.rint(scale * (rotation @ y)).astype(np.int64)
    return Record(rng.integers(-_FAR, _FAR, len(y)) @ basis + w, rotation, w)


def rotations(count: int, k: int, rng: np.random.Generator) -> list[Floats]:
    """Draw the U of so many records."""
    return [faces.rotation(k, rng) for _ in range(count)]


def shipped(job: Job, k: int) -> Lattice:
    """Return the shipped lattice, or as many of its copies as make k."""
    one = job.parameters.lattice.basis
    return Lattice("shipped", np.kron(np.eye(k // len(one), dtype=np.int64), one))


def hidden(
    pairs: Floats, lattice: Lattice, scale: float, turned: Sequence[Floats], rng: np.random.Generator
) -> list[list[Record]]:
    """Hide (m, r, k) enrolment vectors; the first of each person under the first rotation, and so on."""
    return [[hide(y, lattice.basis, scale, u, rng) for y, u in zip(pair, turned, strict=True)] for pair in pairs]
