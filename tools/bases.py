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


def reduced(basis: Integers, block: int) -> Integers:
    """Return a BKZ-reduced basis of the lattice of (k, k) rows; a block of k or more is Hermite-Korkine-Zolotarev's.

    Args:
        basis: any basis.
        block: block size; blocks from 20 up, in steps of four, lead to it.
    """
    from fpylll import BKZ, LLL, IntegerMatrix

    k = len(basis)
    matrix = IntegerMatrix.from_matrix(basis.tolist())
    LLL.reduction(matrix)
    for size in (*range(20, min(block, k), 4), min(block, k)):
        BKZ.reduction(matrix, BKZ.Param(size, flags=BKZ.AUTO_ABORT))
    found = np.zeros((k, k), dtype=np.int64)
    matrix.to_matrix(found)
    return found


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
