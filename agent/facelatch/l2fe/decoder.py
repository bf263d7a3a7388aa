# SPDX-License-Identifier: Apache-2.0
"""Lattice points near a target, by a K-best (M-algorithm) sphere decoder, vectorized over beam and over targets.

The basis is brought to triangular form once. Then, from the last coordinate to the first, every partial point kept so
far is extended by its nearest integers, and the M extensions with the smallest partial distance are kept (Anderson and
Mohan, "Sequential coding algorithms", IEEE Trans. Comm. 1984; Guo and Nilsson, JSAC 2006). With a beam of one this is
Babai's nearest-plane rounding; with an unbounded one it is exhaustive.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

# Targets decoded at once: enough to spread NumPy's overhead, few enough for the beam to stay in the processor's cache.
_BATCH = 16
# Integers tried for each coordinate of each partial point, the nearest first.
CHILDREN = 3
# 0, 1, -1: whole steps from the nearest integer, towards the centre's side first.
_CHILDREN_STEPS = np.array([(i + 1) // 2 if i % 2 else -(i // 2) for i in range(CHILDREN)], dtype=np.float64)
# Coordinates walked between two updates of all that is below them: few enough that a partial point is quickly copied.
_BLOCK = 8


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
        basis: (b, b) int64, one basis vector a row, reduced (LLL or better).
        beam: partial points kept at each level, M.
        copies: of the lattice side by side, k = copies * b; each is searched on its own, as one target more.
    """

    def __init__(self, basis: Integers, beam: int, copies: int = 1) -> None:
        self._basis = basis
        self._beam = beam
        self._copies = copies
        # basis.T = Q R; a positive diagonal makes the levels read as plain distances.
        q, r = np.linalg.qr(basis.T.astype(np.float64))
        sign = np.sign(np.diag(r))
        self._to_triangular: Floats = (q * sign).T
        self._r: Floats = r * sign[:, None]

    def __call__(self, targets: Floats, radius: float, limit: int) -> list[list[Candidate]]:
        """Return for each of (users, k) float64 targets at most ``limit`` points within ``radius``, nearest first."""
        found: list[list[Candidate]] = [[] for _ in targets]
        hopeful = self._hopeful(targets, radius)
        for user, parts in zip(hopeful, self._near(targets[hopeful], radius, limit), strict=True):
            found[user] = _nearest(parts, radius, limit)
        return found

    def _hopeful(self, targets: Floats, radius: float) -> Indices:
        """Return which of (users, k) targets may have a point within the radius.

        Such a point is within radius / sqrt(copies) in one copy at least: a far smaller ball, quickly searched. What
        the beam keeps of it does not depend on the radius, so nothing is lost that would be found without this.
        """
        if self._copies == 1 or len(targets) == 1:
            return np.arange(len(targets))  # no smaller ball, or too little to be saved
        near = self._near(targets, radius / math.sqrt(self._copies), 1)
        return np.flatnonzero([any(parts) for parts in near])

    def _near(self, targets: Floats, radius: float, limit: int) -> list[list[list[Candidate]]]:
        """Return for each of (users, k) targets, copy by copy, at most ``limit`` points within ``radius``."""
        single = targets.reshape(-1, len(self._basis))
        found: list[list[Candidate]] = [[] for _ in single]
        for start in range(0, len(single), _BATCH):
            users, coefficients, squared = self._search(single[start : start + _BATCH], radius, limit)
            for user, row, costs in zip(users, coefficients, squared, strict=True):
                near = costs <= radius * radius
                points = row[near] @ self._basis
                found[start + user] = [
                    Candidate(p, float(d)) for p, d in zip(points, np.sqrt(costs[near]), strict=True)
                ]
        return [found[first : first + self._copies] for first in range(0, len(found), self._copies)]

    def _search(self, targets: Floats, radius: float, limit: int) -> tuple[Indices, Integers, Floats]:
        """Search from the last coordinate to the first, a block of coordinates at a time.

        Returns:
            (users,) the targets that have a point near them; (users, <=limit, k) coefficients and (users, <=limit)
            squared distances, the nearest first.
        """
        users = np.arange(len(targets))
        # residual: what is left of the target, in triangular coordinates, after the coefficients chosen so far.
        residual = (targets @ self._to_triangular.T)[:, None, :]
        cost = np.zeros(residual.shape[:2])
        walked: list[_Block] = []
        for stop in range(len(self._r), 0, -_BLOCK):
            start = max(stop - _BLOCK, 0)
            block, cost = self._walk(residual[:, :, start:stop], cost, start, radius, limit)
            rows = np.arange(len(users))[:, None]
            # Only here are the coordinates below the block touched: one product instead of one update a level.
            above = residual.reshape(-1, stop).take(block.origin + rows * residual.shape[1], axis=0)[:, :, :start]
            residual = above - block.chosen @ self._r[:start, start:stop].T
            walked.append(block)
            alive = cost.min(axis=1) <= radius * radius
            if not alive.all():
                users, residual, cost = users[alive], residual[alive], cost[alive]
                walked = [_Block(kept.origin[alive], kept.chosen[alive]) for kept in walked]
                if not users.size:
                    break
        order = np.argsort(cost, axis=1)
        return users, _trace(walked, order), np.take_along_axis(cost, order, axis=1)

    def _walk(self, residual: Floats, cost: Floats, start: int, radius: float, limit: int) -> tuple[_Block, Floats]:
        """Extend (users, beam) partial points by the coordinates of one block, (users, beam, width) residuals."""
        users, beam, width = residual.shape
        first = np.arange(users)[:, None]
        origin = np.broadcast_to(np.arange(beam), (users, beam))
        # One row a partial point: residuals up to the column at hand, the coefficients chosen after it.
        state = residual
        for column in range(width - 1, -1, -1):
            level = start + column
            step = self._r[level, level]
            centre = state[:, :, column] / step
            nearest = np.rint(centre)
            side = np.where(centre < nearest, -1.0, 1.0)
            # Children outermost: NumPy's inner loops then run over the beam.
            values = nearest[:, None] + side[:, None] * _CHILDREN_STEPS[:, None]
            costs = (cost[:, None] + ((centre[:, None] - values) * step) ** 2).reshape(users, -1)
            inside = int(np.count_nonzero(costs <= radius * radius, axis=1).max())
            best = _smallest(costs, min(max(inside, 1), self._beam if level else limit))
            # Taking from flat arrays is twice as fast as indexing by user and partial point.
            flat = best + first * costs.shape[1]
            parent = best % centre.shape[1] + first * centre.shape[1]
            value = values.take(flat)
            cost = costs.take(flat)
            origin = origin.take(parent)
            state = state.reshape(-1, width).take(parent, axis=0)
            state[:, :, :column] -= value[..., None] * self._r[start:level, level]
            state[:, :, column] = value
        return _Block(origin, state), cost


def _nearest(parts: list[list[Candidate]], radius: float, limit: int) -> list[Candidate]:
    """Join one point of each part in the ways that stay within the radius, the nearest ``limit`` of them."""
    joined = [
        Candidate(np.concatenate([part.point for part in chosen]), math.hypot(*(part.distance for part in chosen)))
        for chosen in itertools.product(*parts)
    ]
    near = [candidate for candidate in joined if candidate.distance <= radius]
    return sorted(near, key=lambda candidate: candidate.distance)[:limit]


@dataclass(frozen=True)
class _Block:
    """One block's choices: (users, beam) which partial point each grew from, (users, beam, width) its coefficients."""

    origin: Indices
    chosen: Floats


def _trace(walked: list[_Block], leaves: Indices) -> Integers:
    """Read the coefficients of the given leaves, (users, m), back from the last block to the first."""
    rows = np.arange(len(leaves))[:, None]
    parts = []
    for block in reversed(walked):
        parts.append(block.chosen[rows, leaves])
        leaves = block.origin[rows, leaves]
    return np.rint(np.concatenate(parts, axis=-1)).astype(np.int64)


def _smallest(costs: Floats, count: int) -> Indices:
    """Indices of the ``count`` smallest entries of each row, in no order."""
    if count >= costs.shape[1]:
        return np.broadcast_to(np.arange(costs.shape[1]), costs.shape)
    return np.argpartition(costs, count - 1, axis=1)[:, :count]
