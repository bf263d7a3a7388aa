# SPDX-License-Identifier: Apache-2.0
"""Which whole vectors are points of a lattice: only the tests have to ask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.lattice import Integers, Lattice


def contains(lattice: Lattice, points: Integers) -> npt.NDArray[np.bool_]:
    """Tell of each of (..., k) integer points whether it is in the lattice."""
    blocks = points.reshape(*points.shape[:-1], lattice.copies, -1)
    coefficients = np.rint(blocks @ np.linalg.inv(lattice.basis.astype(np.float64))).astype(np.int64)
    inside: npt.NDArray[np.bool_] = np.all(coefficients @ lattice.basis == blocks, axis=(-2, -1))
    return inside
