# SPDX-License-Identifier: Apache-2.0
"""Linear equations modulo a prime."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from facelatch.errors import FacelatchError

Integers = npt.NDArray[np.int64]


class UnsolvableError(FacelatchError):
    """The equations do not determine what is asked for."""


def solve(a: Integers, b: Integers, q: int) -> Integers:
    """Solve a s = b modulo a prime q < 2^31 by elimination.

    Args:
        a: (r, n), r >= n.
        b: (r, m), one right-hand side a column, without contradictions.
        q: the prime.

    Returns:
        (n, m) s on [0, q).

    Raises:
        UnsolvableError: the equations leave something open.
    """
    rows, n = a.shape
    table = np.concatenate([a, b], axis=1) % q
    for column in range(n):
        usable = np.flatnonzero(table[column:, column])
        if not usable.size:
            raise UnsolvableError(f"{rows} equations leave unknown {column} of {n} open", "take more equations")
        pivot = column + int(usable[0])
        table[[column, pivot]] = table[[pivot, column]]
        table[column] = table[column] * pow(int(table[column, column]), -1, q) % q
        factors = table[:, column].copy()
        factors[column] = 0
        table[:, column:] = (table[:, column:] - factors[:, None] * table[column, column:]) % q
    return table[:n, n:]
