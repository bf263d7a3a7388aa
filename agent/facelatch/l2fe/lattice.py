# SPDX-License-Identifier: Apache-2.0
"""The lattice L = { z in Z^k : z = A s mod q } with A = [I; X].

The first n coordinates of a point of L are s mod q. L holds q Z^k, and its determinant is q^(k-n).
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]


def expand(seed: bytes, k: int, n: int, q: int) -> Integers:
    """Expand a public seed into X, (k-n, n) int64 uniform on [0, q).

    SHAKE-128(seed) is read as little-endian u16, masked to the bits of q - 1; values of q or more are rejected;
    what remains fills X in row order.
    """
    wanted, mask = (k - n) * n, (1 << (q - 1).bit_length()) - 1
    # At least half of the masked values are kept, so four times as many as wanted always suffice in practice.
    stream = np.frombuffer(hashlib.shake_128(seed).digest(2 * 4 * wanted), dtype="<u2") & mask
    kept = stream[stream < q][:wanted]
    if kept.size < wanted:
        raise ValueError("the lattice seed gives too few values; choose another")
    return kept.astype(np.int64).reshape(k - n, n)


def encode(x: Integers, s: Integers, q: int) -> Integers:
    """Return A s mod q, (k,) int64, for s (n,) int64 on [0, q)."""
    return np.concatenate([s, x @ s]) % q


def plain_basis(x: Integers, q: int) -> Integers:
    """Return a basis of L, (k, k) int64, one vector a row: [I X^T; 0 qI]."""
    tail, n = x.shape
    return np.block(
        [
            [np.eye(n, dtype=np.int64), x.T],
            [np.zeros((tail, n), dtype=np.int64), q * np.eye(tail, dtype=np.int64)],
        ]
    )


def generates(basis: Integers, x: Integers, q: int) -> bool:
    """Tell whether the rows of basis (k, k) generate exactly L.

    Rows that all lie in L generate a sublattice whose determinant is m q^(k-n) with a whole m >= 0; it is all of L
    just when m = 1, so a floating-point determinant within a factor of sqrt(2) of q^(k-n) decides it.
    """
    tail, n = x.shape
    if basis.shape != (n + tail, n + tail):
        return False
    if np.any((basis[:, n:] - basis[:, :n] @ x.T) % q):
        return False
    sign, log_determinant = np.linalg.slogdet(basis.astype(np.float64))
    return bool(sign != 0 and abs(log_determinant - tail * math.log(q)) < math.log(2) / 2)
