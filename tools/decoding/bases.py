# SPDX-License-Identifier: Apache-2.0
"""Reduced bases, and exhaustive search on them, by fpylll: a tool for building and measuring only (GPL).

Nothing here is imported by the agent, and fpylll only when a function runs.
"""

from __future__ import annotations

import numpy as np

from tools.decoding.noise import Flags, Floats, Removes
from tools.leech import Integers

# Distances equal but for rounding do not make an error.
_TIE = 1e-9


def reduced(basis: Integers, block: int, *, self_dual: bool = False) -> Integers:
    """Return a BKZ-reduced basis of the lattice of (k, k) rows; a block of k or more is Hermite-Korkine-Zolotarev's.

    Args:
        basis: any basis.
        block: block size; blocks from 20 up, in steps of four, lead to it.
        self_dual: reduce blocks of the dual basis in turn (Micciancio and Walter, "Practical, predictable lattice basis
            reduction", EUROCRYPT 2016), which lengthens the last Gram-Schmidt vectors, decided first.
    """
    from fpylll import BKZ, LLL, IntegerMatrix

    k = len(basis)
    matrix = IntegerMatrix.from_matrix(basis.tolist())
    LLL.reduction(matrix)
    flags = BKZ.AUTO_ABORT | (BKZ.SD_VARIANT if self_dual else 0)
    for size in (*range(20, min(block, k), 4), min(block, k)):
        BKZ.reduction(matrix, BKZ.Param(size, flags=flags))
    found = np.zeros((k, k), dtype=np.int64)
    matrix.to_matrix(found)
    return found


def dual_reduced(basis: Integers, determinant: int, block: int) -> Integers:
    """Return the basis whose dual, last vector first, is BKZ-reduced.

    Args:
        basis: any basis.
        determinant: a whole number that times the dual lattice is a lattice of whole numbers (q for a q-ary one).
        block: block size.
    """
    dual = np.rint(np.linalg.inv(basis.astype(np.float64)).T * determinant).astype(np.int64)
    back = np.linalg.inv(reduced(dual[::-1], block).astype(np.float64)[::-1]).T * determinant
    primal: Integers = np.rint(back).astype(np.int64)
    return primal


def exhaustive(basis: Integers, side: float) -> Removes:
    """Return a test of noise, in cell sides, by enumeration (Fincke and Pohst) of all nearer points."""
    from fpylll import GSO, Enumeration, EvaluatorStrategy, IntegerMatrix
    from fpylll.fplll.enumeration import EnumerationError

    gso = GSO.Mat(IntegerMatrix.from_matrix(basis.tolist()))
    gso.update_gso()

    def alone(target: Floats) -> bool:
        search = Enumeration(gso, nr_solutions=1, strategy=EvaluatorStrategy.FIRST_N_SOLUTIONS)
        try:
            reach = float(target @ target) * (1 - _TIE)
            search.enumerate(0, len(basis), reach, 0, target=gso.from_canonical(target.tolist()))
        except EnumerationError:
            return True
        return False

    def removes(noise: Floats) -> Flags:
        return np.array([alone(target) for target in noise * side], dtype=np.bool_)

    return removes
