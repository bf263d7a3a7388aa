# SPDX-License-Identifier: Apache-2.0
"""Lattices that a record may be hidden in, all of about the same cell's side in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools import bases, leech, qary
from tools.leech import Integers

Q = 12289
SEED = b"facelatch/redteam/k24n12q12289/1"


@dataclass(frozen=True)
class Lattice:
    """A lattice by its basis, (k, k) int64, one vector a row."""

    name: str
    basis: Integers

    @property
    def side(self) -> float:
        """Side of its cell: the k-th root of the determinant."""
        return float(np.exp(np.linalg.slogdet(self.basis.astype(np.float64))[1] / len(self.basis)))


def short(c: Integers, basis: Integers) -> Integers:
    """Return a short representative of each coset, (..., k) int64: any will do, and this one loses nothing to rounding.

    Args:
        c: (..., k) int64, a point of each.
        basis: (k, k) int64, of the lattice, one vector a row.
    """
    near: Integers = c - np.rint(c @ np.linalg.inv(basis)).astype(np.int64) @ basis
    return near


def leeches(k: int) -> Lattice:
    """Copies of the Leech lattice, block-diagonal, in k = 24, 48, ... dimensions."""
    one = bases.reduced(leech.basis(), leech.DIMENSION) * round(Q**0.5 / leech.SIDE)
    return Lattice("Leech", np.kron(np.eye(k // leech.DIMENSION, dtype=np.int64), one))


def q_ary(k: int) -> Lattice:
    """A random q-ary lattice with n = k / 2."""
    plain = qary.plain_basis(qary.expand(SEED, k, k // 2, Q), Q)
    return Lattice("q-ary", bases.reduced(plain, 30))


def cubic(k: int) -> Lattice:
    """Whole numbers: the control, with all the structure there can be."""
    return Lattice("cubic", round(Q**0.5) * np.eye(k, dtype=np.int64))
