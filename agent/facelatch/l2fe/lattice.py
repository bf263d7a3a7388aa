# SPDX-License-Identifier: Apache-2.0
"""A lattice L with Q Z^k inside it: copies of one lattice side by side, each given by a basis.

Modulo Q it is a finite code, whose words hide a face; L = word + Q Z^k.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Random = Callable[[int], bytes]
# Coefficients beyond this are of a basis next to degenerate; sums of their products with u16 fit an int64.
_MOST = 1 << 40


@dataclass(frozen=True)
class Lattice:
    """Copies of a lattice side by side.

    Attributes:
        basis: (b, b) int64 of full rank, one vector a row, reduced for decoding.
        copies: how many; together they have k = copies * b dimensions.
        modulus: Q, a power of two.
    """

    basis: Integers
    copies: int
    modulus: int

    @property
    def dimension(self) -> int:
        """Return k."""
        return self.copies * len(self.basis)

    @cached_property
    def side(self) -> float:
        """Side of a cube as large as the lattice's cell: the k-th root of the determinant."""
        _, log_determinant = np.linalg.slogdet(self.basis.astype(np.float64))
        return math.exp(log_determinant / len(self.basis))

    @property
    def key_bits(self) -> float:
        """Log2 of the number of points modulo Q."""
        return self.dimension * math.log2(self.modulus / self.side)

    def is_whole_modulo(self) -> bool:
        """Tell, exactly, whether Q Z^k lies in the lattice: whether Q times the inverse of the basis is whole.

        A basis that is not of full rank has no inverse, and never passes.
        """
        try:
            inverse = np.rint(self.modulus * np.linalg.inv(self.basis.astype(np.float64)))
        except np.linalg.LinAlgError:
            return False
        if np.abs(inverse).max() > _MOST:
            return False
        whole = self.basis @ inverse.astype(np.int64)
        return np.array_equal(whole, self.modulus * np.eye(len(self.basis), dtype=np.int64))

    def draw(self, random: Random) -> Integers:
        """Draw a point modulo Q, (k,) int64 on [0, Q), uniform over all of them, from a source of bytes.

        Whole numbers modulo Q times the basis reach every point modulo Q equally often: they map onto a group.
        """
        coefficients = np.frombuffer(random(2 * self.dimension), dtype="<u2").astype(np.int64) % self.modulus
        points: Integers = coefficients.reshape(self.copies, -1) @ self.basis % self.modulus
        return points.ravel()
