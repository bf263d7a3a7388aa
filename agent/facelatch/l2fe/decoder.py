# SPDX-License-Identifier: Apache-2.0
"""Lattice points near a target, by a K-best (M-algorithm) sphere decoder, vectorized over beam and over targets.

The basis is brought to triangular form once. Then, from the last coordinate to the first, every partial point kept so
far is extended by its nearest integers, and the M extensions with the smallest partial distance are kept (Anderson and
Mohan, "Sequential coding algorithms", IEEE Trans. Comm. 1984; Guo and Nilsson, JSAC 2006). With a beam of one this is
Babai's nearest-plane rounding; with an unbounded one it is exhaustive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Targets decoded at once: enough to spread NumPy's overhead, few enough for the beam to stay in the processor's cache.
_BATCH = 16
# Integers tried for each coordinate of each partial point, the nearest first.
CHILDREN = 4


@dataclass(frozen=True)
class Candidate:
    """A lattice point near a target.

    Attributes:
        point: (k,) int64, the lattice point.
        distance: Euclidean distance from the target to it, in lattice units. Secret: it never leaves the agent.
    """

    point: Integers
    distance: float


class Decoder:
    """Decodes targets to points of the lattice with the given reduced basis.

    Args:
        basis: (k, k) int64, one basis vector a row, reduced (LLL or better).
        beam: partial points kept at each level, M.
    """

    def __init__(self, basis: Integers, beam: int) -> None:
        self._basis = basis
        self._beam = beam
        # basis.T = Q R; a positive diagonal makes the levels read as plain distances.
        q, r = np.linalg.qr(basis.T.astype(np.float64))
        sign = np.sign(np.diag(r))
        self._to_triangular: Floats = (q * sign).T
        self._r: Floats = r * sign[:, None]

    def __call__(self, targets: Floats, radius: float, limit: int) -> list[list[Candidate]]:
        """Return for each of (users, k) float64 targets at most ``limit`` points within ``radius``, nearest first."""
        found: list[list[Candidate]] = []
        for start in range(0, len(targets), _BATCH):
            coefficients, squared = self._search(targets[start : start + _BATCH], radius, limit)
            for row, costs in zip(coefficients, squared, strict=True):
                near = costs <= radius * radius
                points = row[near] @ self._basis
                found.append([Candidate(p, float(d)) for p, d in zip(points, np.sqrt(costs[near]), strict=True)])
        return found

    def _search(self, targets: Floats, radius: float, limit: int) -> tuple[Integers, Floats]:
        """Return the best ``limit`` coefficient vectors of each target, (users, <=limit, k), and squared distances."""
        users, k = targets.shape
        rows = np.arange(users)[:, None]
        # residual: what is left of the target, in triangular coordinates, after the coefficients chosen so far.
        residual = (targets @ self._to_triangular.T)[:, None, :]
        chosen = np.zeros((users, 1, k))
        cost = np.zeros((users, 1))
        for level in range(k - 1, -1, -1):
            step = self._r[level, level]
            centre = residual[:, :, level] / step
            nearest = np.rint(centre)
            side = np.where(centre < nearest, -1.0, 1.0)
            values = nearest[..., None] + side[..., None] * _zigzag(CHILDREN)
            costs = cost[..., None] + ((centre[..., None] - values) * step) ** 2
            flat_costs, flat_values = costs.reshape(users, -1), values.reshape(users, -1)
            keep = min(self._beam if level else limit, flat_costs.shape[1])
            best = _smallest(flat_costs, keep)
            parent = best // CHILDREN
            cost = flat_costs[rows, best]
            if cost.min() > radius * radius:
                return np.zeros((users, 0, k), dtype=np.int64), np.zeros((users, 0))
            value = flat_values[rows, best]
            chosen = chosen[rows, parent]
            chosen[:, :, level] = value
            residual = residual[rows, parent, :level] - value[..., None] * self._r[:level, level]
        order = np.argsort(cost, axis=1)
        return np.rint(chosen[rows, order]).astype(np.int64), cost[rows, order]


def _zigzag(count: int) -> Floats:
    """0, 1, -1, 2, -2, ...: whole steps from the nearest integer, towards the centre's side first."""
    step = np.arange(count)
    return np.where(step % 2, (step + 1) // 2, -(step // 2)).astype(np.float64)


def _smallest(costs: Floats, count: int) -> npt.NDArray[np.intp]:
    """Indices of the ``count`` smallest entries of each row, in no order."""
    if count >= costs.shape[1]:
        return np.broadcast_to(np.arange(costs.shape[1]), costs.shape)
    return np.argpartition(costs, count - 1, axis=1)[:, :count]
