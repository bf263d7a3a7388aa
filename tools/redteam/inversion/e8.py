# SPDX-License-Identifier: Apache-2.0
"""The lattice E8: eight whole numbers of even sum, or eight halves of odd numbers of even sum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BLOCK = 8


def nearest(targets: Floats) -> Floats:
    """Return the point of E8 nearest to each of (..., 8) targets.

    Conway and Sloane, "Fast quantizing and decoding algorithms for lattice quantizers and codes", 1982: the nearer of
    what D8 and D8 moved by a half give.
    """
    whole, half = _even(targets), _even(targets - 0.5) + 0.5
    nearer = ((targets - half) ** 2).sum(axis=-1) < ((targets - whole) ** 2).sum(axis=-1)
    return np.where(nearer[..., None], half, whole)


def _even(targets: Floats) -> Floats:
    """Return the nearest whole numbers of even sum: where rounding gives an odd one, the worst goes the other way."""
    rounded = np.rint(targets)
    off = targets - rounded
    worst = np.argmax(np.abs(off), axis=-1)[..., None]
    other = np.where(np.take_along_axis(off, worst, -1) < 0, -1.0, 1.0)
    odd = rounded.sum(axis=-1, keepdims=True) % 2
    np.put_along_axis(rounded, worst, np.take_along_axis(rounded, worst, -1) + odd * other, -1)
    return rounded
