# SPDX-License-Identifier: Apache-2.0
"""Random q-ary lattices, L = { z in Z^k : z = [I; X] s mod q }: what the shipped lattice is compared with."""

from __future__ import annotations

import hashlib

import numpy as np

from tools.leech import Integers


def expand(seed: bytes, k: int, n: int, q: int) -> Integers:
    """Expand a seed into X, (k-n, n) int64 uniform on [0, q): u16 of SHAKE-128, masked, those below q in row order."""
    wanted, mask = (k - n) * n, (1 << (q - 1).bit_length()) - 1
    # At least half of the masked values are kept.
    stream = np.frombuffer(hashlib.shake_128(seed).digest(2 * 4 * wanted), dtype="<u2") & mask
    return stream[stream < q][:wanted].astype(np.int64).reshape(k - n, n)


def encode(x: Integers, s: Integers, q: int) -> Integers:
    """Return [I; X] s mod q, (k,) int64, for s (n,) int64."""
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


def side(k: int, n: int, q: int) -> float:
    """Side of a cube as large as the lattice's cell."""
    return float(q ** (1 - n / k))
