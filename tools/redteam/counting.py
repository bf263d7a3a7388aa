# SPDX-License-Identifier: Apache-2.0
"""Count the points that come before the true one without listing them all, however many they are.

Enumeration walks a tree whose leaves are the points in a ball. Knuth counted such a tree by walking down it at random
and multiplying by the branches left aside ("Estimating the efficiency of backtrack programs", Math. Comp. 1975). Here
many partial points go down together. At each level those that are expected to have the most leaves below them are kept,
and of the others a few, each counting for those it stands for, chosen so that every count stays unbiased (Fearnhead and
Clifford, "On-line inference for hidden Markov models via particle filters", JRSS B 2003). While all fit, the count is
exact. What is expected is the volume of the ball's section over that of the lattice below; a wrong expectation makes
the count less sharp, not wrong. Nothing is missed as a beam would miss it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools import bases

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# Partial points that go down together, and the descents that a count is the mean of: together within a tenth at 2^40.
BEAM = 2048
DESCENTS = 4
# fpylll reduces whole numbers: whitened coordinates are rounded to so many steps.
_STEPS = 1 << 30
# Larger blocks take longer than they save here.
_BLOCK = 20
# The true point lies on the ball's surface: it is left out by a margin above rounding.
_TIE = 1e-6


@dataclass(frozen=True)
class Sample:
    """Points of a ball, each standing for some.

    Attributes:
        residuals: (m, k) target less point.
        weights: (m,) how many points each stands for; their sum estimates the number in the ball.
        nodes: estimate of the partial points that listing all of them visits.
    """

    residuals: Floats
    weights: Floats
    nodes: float

    @property
    def points(self) -> float:
        """Estimate of the number of points in the ball."""
        return float(self.weights.sum())


class Coset:
    """Points of a lattice about a target.

    Args:
        basis: (k, k), one vector a row, in the coordinates in which the ball is one.
        target: (k,) in these coordinates.
    """

    def __init__(self, basis: Floats, target: Floats) -> None:
        unit = _STEPS / float(np.abs(basis).max())
        reduced = bases.reduced(np.rint(basis * unit).astype(np.int64), _BLOCK) / unit
        q, r = np.linalg.qr(reduced.T)
        sign = np.sign(np.diag(r))
        self._turn: Floats = q * sign
        self._r: Floats = r * sign[:, None]
        self._target: Floats = target @ self._turn

    def sample(self, reach: float, rng: np.random.Generator, beam: int = BEAM) -> Sample:
        """Go down once: points nearer to the target than ``reach``."""
        squared = reach * reach * (1 - _TIE)
        residual, cost, weight = self._target[None], np.zeros(1), np.ones(1)
        nodes = 0.0
        for level in range(len(self._r) - 1, -1, -1):
            parent, value, cost = self._branch(residual[:, level], cost, level, squared)
            weight = weight[parent]
            nodes += float(weight.sum())
            if level:
                # Leaves expected below each, but for a factor that all share.
                section = np.maximum(1 - cost / squared, np.finfo(np.float64).tiny)
                kept, weight = _thin(weight, np.log(weight) + 0.5 * level * np.log(section), beam, rng)
                parent, value, cost = parent[kept], value[kept], cost[kept]
            residual = self._below(residual[parent], value, level)
        return Sample(residual @ self._turn.T, weight, nodes)

    def nearest(self, reach: float, beam: int) -> Floats:
        """List points within ``reach`` by a beam of the partial points nearest to the target.

        This is what can be listed at once: a beam finds most of the points of a small ball, and may miss some.

        Returns:
            (m, k) target less point, the shortest first.
        """
        squared = reach * reach * (1 + _TIE)
        residual, cost = self._target[None], np.zeros(1)
        for level in range(len(self._r) - 1, -1, -1):
            parent, value, cost = self._branch(residual[:, level], cost, level, squared)
            if len(cost) > beam:
                kept = np.argpartition(cost, beam - 1)[:beam]
                parent, value, cost = parent[kept], value[kept], cost[kept]
            residual = self._below(residual[parent], value, level)
        residuals: Floats = residual[np.argsort(cost)] @ self._turn.T
        return residuals

    def _branch(self, along: Floats, cost: Floats, level: int, squared: float) -> tuple[Indices, Floats, Floats]:
        """Extend (m,) partial points by every whole number that keeps them inside.

        Returns:
            Which each grew from, its number, and its squared distance so far.
        """
        step = self._r[level, level]
        centre = along / step
        half = np.sqrt(np.maximum(squared - cost, 0)) / step
        lowest = np.ceil(centre - half)
        children = np.maximum(np.floor(centre + half) - lowest + 1, 0).astype(np.int64)
        parent = np.repeat(np.arange(len(children)), children)
        value = lowest[parent] + np.arange(len(parent)) - np.repeat(np.cumsum(children) - children, children)
        return parent, value, cost[parent] + ((centre[parent] - value) * step) ** 2

    def _below(self, residual: Floats, value: Floats, level: int) -> Floats:
        residual[:, : level + 1] -= value[:, None] * self._r[: level + 1, level]
        return residual


def _thin(weights: Floats, expected: Floats, count: int, rng: np.random.Generator) -> tuple[Indices, Floats]:
    """Keep about ``count`` of (m,) partial points: the large ones as they are, of the small ones a fair few.

    Args:
        weights: what each stands for.
        expected: log of the leaves expected below each, times its weight.
        count: to keep.
        rng: chooses.

    Returns:
        Indices, and the weights after.
    """
    if len(weights) <= count:
        return np.arange(len(weights)), weights
    share = np.exp(expected - expected.max())
    falling = np.sort(share)[::-1]
    left = np.cumsum(falling[::-1])[::-1][:count]
    # The j largest stay; the others share what is left of the places. The first j at which the next is below its share.
    each = left / np.arange(count, 0, -1)
    least = float(each[np.argmax(falling[:count] <= each)])
    small = np.flatnonzero(share < least)
    steps = np.floor(np.cumsum(share[small]) / least + rng.random())
    picked = small[np.diff(steps, prepend=0) > 0]
    kept = np.sort(np.concatenate([np.flatnonzero(share >= least), picked]))
    return kept, weights[kept] * np.maximum(least / share[kept], 1)
