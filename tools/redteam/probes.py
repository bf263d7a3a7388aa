# SPDX-License-Identifier: Apache-2.0
"""Embeddings made to measure: what an attacker hands in who needs no camera."""

from __future__ import annotations

import numpy as np

from facelatch.l2fe.population import Projection
from tools.redteam.beliefs import Floats


def lifted(projection: Projection, y: Floats) -> Floats:
    """Return a unit embedding, (d,), whose projection is y, (k,); the nearest to it where there is none.

    What the projection does not see takes up the length that is left.
    """
    base = projection.mean + np.linalg.pinv(projection.matrix) @ y
    unseen = np.linalg.svd(projection.matrix)[2][-1]
    along = float(base @ unseen)
    left = along**2 + 1 - float(base @ base)
    x: Floats = base + (np.sqrt(left) - along) * unseen if left > 0 else base
    return x / np.linalg.norm(x)
