# SPDX-License-Identifier: Apache-2.0
"""Our record, without the search: c, U and D known, the point not.

Every point of the coset is a y that the record allows. Two guesses are made: the y nearest to the mean face, measured
as faces are spread, by one decode; and what a regressor, trained on records of people the attacker knows, makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.extractor import Extractor, Sketch
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.rotation import SEED_BYTES, rotation
from tools import bases
from tools.decoding.tables import watched
from tools.redteam import lattices
from tools.redteam.inversion.prior import Floats, Prior, units

# The decoder works on whole numbers: whitened coordinates are rounded to so many steps.
_STEPS = 1 << 30
_BEAM = 64
# Blocks of two: the reduction of Lenstra, Lenstra and Lovasz, which takes 20 ms.
_BLOCK = 2
# Against chance in the regressor's 72 x 72 numbers: it shrinks as if it had seen so many more records of no use.
_USELESS = 100


class Record:
    """Our form of storing, and the attack on it.

    Args:
        parameters: the set, its projection fitted without those attacked.
        prior: embeddings of people the attacker knows.
        known: (n, d) unit embeddings of those people, one each, to learn y's spread from and to train the regressor on.
        rng: of the records trained on.
    """

    def __init__(self, parameters: ParameterSet, prior: Prior, known: Floats, rng: np.random.Generator) -> None:
        self.parameters = parameters
        self._extractor = Extractor(parameters)
        self._prior = prior
        projection = parameters.projection
        self._offset = projection.matrix @ projection.mean
        y = projection(known)
        self._spread: Floats = y.std(axis=0)
        near = self.nearest(self.store(known, rng))
        shrinkage = _USELESS * float(np.mean(near**2)) * np.eye(parameters.k)
        self._regressor = np.asarray(np.linalg.solve(near.T @ near + shrinkage, near.T @ y), dtype=np.float64)

    def store(self, x: Floats, rng: np.random.Generator) -> list[Sketch]:
        """Make a record of each (m, d) as Gen does; only what hides the face is kept."""
        lattice = self.parameters.lattice
        return [self._extractor.sketch(units(one), rng.bytes(SEED_BYTES), lattice.draw(rng.bytes)) for one in x]

    def estimate(self, stored: Sequence[Sketch]) -> Floats:
        """Return both guesses, (2, m, d)."""
        near = self.nearest(stored)
        return np.stack([self._lift(near), self._lift(near @ self._regressor)])

    def nearest(self, stored: Sequence[Sketch]) -> Floats:
        """Return the y of each coset nearest to the mean face, (m, k)."""
        return np.stack([self._nearest(sketch) for sketch in watched(stored, "Decoding towards the mean face")])

    def _nearest(self, sketch: Sketch) -> Floats:
        p = self.parameters
        basis = np.kron(np.eye(p.lattice.copies, dtype=np.int64), p.lattice.basis)
        whitening = rotation(sketch.seed, p.k).T / (p.scale * self._spread[:, None])
        whitened = basis @ whitening.T
        unit = _STEPS / float(np.abs(whitened).max())
        reduced = bases.reduced(np.rint(whitened * unit).astype(np.int64), _BLOCK)
        target = whitening @ lattices.short(sketch.c, basis) * unit
        [[found]] = Decoder(reduced, _BEAM)(target[None], math.inf, 1)
        y: Floats = self._spread * (target - found.point) / unit
        return y

    def _lift(self, y: Floats) -> Floats:
        """Return the mean of the embeddings with that projection, (m, d)."""
        return units(self._prior.given(self.parameters.projection.matrix, y + self._offset))
