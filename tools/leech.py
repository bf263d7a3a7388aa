# SPDX-License-Identifier: Apache-2.0
"""The Leech lattice from the Golay code (Conway and Sloane, Sphere Packings, Lattices and Groups, 3rd ed. 1999).

Coordinates are integers, sqrt(8) times those of the unimodular lattice: determinant 8^12, least squared norm 32.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

DIMENSION = 24
# Integer coordinates for one side of the lattice's cell.
SIDE = math.sqrt(8)
# 1 + x + x^5 + x^6 + x^7 + x^9 + x^11 generates the cyclic Golay code of length 23 (chapter 3, section 2.8.2).
_GENERATOR = (0, 1, 5, 6, 7, 9, 11)


def golay_generator() -> Integers:
    """Return a generator matrix [I P], (12, 24), of the extended binary Golay code."""
    rows = np.zeros((12, DIMENSION), dtype=np.int64)
    for shift in range(12):
        rows[shift, [shift + power for power in _GENERATOR]] = 1
    rows[:, -1] = rows.sum(axis=1) % 2
    # Upper triangular with ones on the diagonal: clear what stands above each one.
    for column in range(12):
        rows[:column] ^= rows[:column, [column]] * rows[column]
    return rows


def golay_words() -> Integers:
    """Return the (4096, 24) words of the extended Golay code."""
    messages = np.arange(1 << 12)[:, None] >> np.arange(12) & 1
    words: Integers = messages @ golay_generator() % 2
    return words


def contains(vectors: Integers) -> npt.NDArray[np.bool_]:
    """Tell of each of (m, 24) integer vectors whether it is in the Leech lattice (chapter 4, section 11).

    All coordinates have the parity m of the first, they sum to 4 m modulo 8, and (x - m) / 2 is odd on a Golay word.
    """
    parity = vectors[:, :1] % 2
    same = np.all(vectors % 2 == parity, axis=1)
    total = (vectors.sum(axis=1) - 4 * parity[:, 0]) % 8 == 0
    halves = (vectors - parity) // 2 % 2
    # The code is its own dual, so its generator matrix checks it.
    word = ~np.any(halves @ golay_generator().T % 2, axis=1)
    inside: npt.NDArray[np.bool_] = same & total & word
    return inside


def basis() -> Integers:
    """Return a basis, (24, 24), one vector a row.

    Twice the code's words and 4 Z^24 with sums divisible by 8 make the even half (rows from the second, and twice the
    first); (1, ..., 1, -3) leads to the odd one. All ones is the sum of the generator's rows, so it replaces the first.
    """
    rows = np.zeros((DIMENSION, DIMENSION), dtype=np.int64)
    rows[:12] = 2 * golay_generator()
    rows[12:] = 4 * np.eye(DIMENSION, dtype=np.int64)[12:]
    rows[12:, -1] += 4
    rows[0] = 1
    rows[0, -1] = -3
    return rows
