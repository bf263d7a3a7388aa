# SPDX-License-Identifier: Apache-2.0
"""Embeddings with a chosen projection: nobody's face."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.parameters import ParameterSet
from tools.redteam.search import Floats


class Sphere:
    """Unit embeddings of one parameter set, found from their projections."""

    def __init__(self, p: ParameterSet) -> None:
        self._p = p
        matrix = p.projection.matrix
        self._back = np.linalg.pinv(matrix)
        # A direction that the projection does not see: it takes up the length that is left.
        self._unseen: Floats = np.linalg.svd(matrix)[2][-1]

    def at(self, y: Floats) -> npt.NDArray[np.float32]:
        """Return a unit embedding, (d,) float32, that projects to y (k,), or in its direction where y is too far."""
        base = self._p.projection.mean + self._back @ y
        along = float(base @ self._unseen)
        left = along**2 + 1 - float(base @ base)
        x = base + (math.sqrt(left) - along) * self._unseen if left > 0 else base
        unit: npt.NDArray[np.float32] = (x / np.linalg.norm(x)).astype(np.float32)
        return unit
