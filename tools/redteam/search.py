# SPDX-License-Identifier: Apache-2.0
"""The search attack on a leaked record: how many points of its coset look more like a face than the true one.

Whoever holds the record and the device key knows c = p + round(D U y), with U and D, and of y only how it is spread
over people. Every lattice point z is a guess, y' = U^T (c - z) / D, and the likelier guesses are those with less
|y' / spread|. In coordinates divided by the spread the guesses are again the points of a lattice about a target, and
those to be tried before the true one fill a ball. They are found by enumeration (Fincke and Pohst) on a basis reduced
in these coordinates. Each costs one Argon2id run, so their number is the attacker's work; listing them is not.

Full enumeration finds them all. Where they are many it would be slow, and a known share of the ball is searched instead
(pruning: Gama, Nguyen and Regev, "Lattice enumeration using extreme pruning", EUROCRYPT 2010): the number follows from
the share, which is volume of the pruned ball over volume of the whole, by Monte Carlo.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tools import bases
from tools.redteam import lattices

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Shares of the ball searched in turn. The next, larger one is searched while that is cheap (partial points visited) or
# the points found are too few to tell their number. Shares under a tenth find all or nothing of it: they are no sample.
NEARLY_ALL = 0.98
SHARES = (0.1, 0.5, NEARLY_ALL, 1.0)
_CHEAP = 1 << 19
_FEW = 64
# Points after which a search is given up: as many as the largest budget that is told.
MOST = 1 << 20
# Larger blocks cost more than they save at k = 48.
_BLOCK = 30
# fpylll reduces whole numbers: whitened coordinates are rounded to so many steps.
_STEPS = 1 << 32
# The true point lies on the ball's surface: it is left out by a margin above rounding.
_TIE = 1e-6
# Points drawn to find the shares, and the seed.
_DRAWS = 1 << 16
_SEED = 3


class Coset(Protocol):
    """Points to be tried in order of how likely they are."""

    @property
    def c(self) -> Integers:
        """(k,) any point of the coset."""

    @property
    def whitening(self) -> Floats:
        """(k, k): takes a point of the coset to what is searched for, less of which is likelier."""


@dataclass(frozen=True)
class Leak:
    """What the attacker works from.

    Attributes:
        c: (k,) int64, the sketch.
        rotation: (k, k) U.
        scale: D, lattice units for one within-person deviation.
        spread: (k,) deviation over people of each coordinate of y, whose mean is zero.
    """

    c: Integers
    rotation: Floats
    scale: float
    spread: Floats

    @property
    def whitening(self) -> Floats:
        """(k, k): takes c - z to y' / spread."""
        whitening: Floats = self.rotation.T / (self.scale * self.spread[:, None])
        return whitening


@dataclass(frozen=True)
class Ahead:
    """How many points come before the true one.

    Attributes:
        points: their number, exact if share is 1; at least so many if capped.
        share: of the ball searched.
        capped: the search was given up after MOST points.
        nodes: partial points visited.
    """

    points: float
    share: float
    capped: bool
    nodes: int


class Search:
    """The attack on one leak from a lattice with the given basis, (k, k), one vector a row."""

    def __init__(self, basis: Integers, leak: Coset) -> None:
        from fpylll import GSO, IntegerMatrix

        whitened = basis @ leak.whitening.T
        self._unit = _STEPS / float(np.abs(whitened).max())
        self._target: Floats = leak.whitening @ lattices.short(leak.c, basis) * self._unit
        reduced = bases.reduced(np.rint(whitened * self._unit).astype(np.int64), _BLOCK)
        self._gso = GSO.Mat(IntegerMatrix.from_matrix(reduced.tolist()))
        self._gso.update_gso()
        self._centre = self._gso.from_canonical(self._target.tolist())

    def ahead(self, reach: float, shares: tuple[float, ...] = SHARES) -> Ahead:
        """Count the points whose |y' / spread| is below reach, that of the true point.

        The attacker does not know it, but lists in its order, and so stops there.
        """
        for share, larger in zip(shares, (*shares[1:], 1.0), strict=True):
            found, nodes = self._visit(reach, share)
            if found * larger / share > MOST or (nodes >= _CHEAP and (found >= _FEW or share >= NEARLY_ALL)):
                break
        actual = pruning(len(self._target), share)[1]
        return Ahead(points=found / actual, share=share, capped=found >= MOST, nodes=nodes)

    def _visit(self, reach: float, share: float) -> tuple[int, int]:
        """Count the points in a share of the ball, to MOST at most, and the nodes visited."""
        from fpylll import Enumeration, EvaluatorStrategy
        from fpylll.fplll.enumeration import EnumerationError

        found = 0

        def visit(_point: object) -> bool:
            # Only a point that is accepted is kept, and ends the search.
            nonlocal found
            found += 1
            return found >= MOST

        search = Enumeration(self._gso, nr_solutions=1, strategy=EvaluatorStrategy.FIRST_N_SOLUTIONS, callbackf=visit)
        k = len(self._target)
        bounds = None if share == 1 else pruning(k, share)[0].tolist()
        try:
            squared = (reach * self._unit) ** 2 * (1 - _TIE)
            search.enumerate(0, k, squared, 0, target=self._centre, pruning=bounds)
        except EnumerationError:  # nothing was kept
            pass
        # Of a tree cut at its root fpylll tells -1 visits, as an unsigned number.
        nodes = int(search.get_nodes())
        return found, nodes if nodes < 1 << 63 else 0


@functools.cache
def pruning(k: int, share: float) -> tuple[Floats, float]:
    """Return bounds that keep about a share of a ball, and the share they do keep.

    Returns:
        (k,) largest squared length of the last k - i coordinates, by the ball's squared radius; and the share.
    """
    if share == 1:
        return np.ones(k), 1.0
    rng = np.random.default_rng(_SEED)
    inside = rng.normal(size=(_DRAWS, k))
    inside *= rng.uniform(size=(_DRAWS, 1)) ** (1 / k) / np.linalg.norm(inside, axis=1, keepdims=True)
    tails = np.cumsum(inside[:, ::-1] ** 2, axis=1)[:, ::-1]
    order = np.argsort(tails, axis=0)
    # A point is kept if it is among the shortest in every column; so many of each that the share of points is kept.
    places = np.arange(_DRAWS)
    worst = np.zeros(_DRAWS, dtype=np.int64)
    for column in order.T[1:]:
        worst[column] = np.maximum(worst[column], places)
    last = np.sort(worst)[math.ceil(share * _DRAWS) - 1]
    bounds = tails[order[last], np.arange(k)]
    bounds[0] = 1.0
    return bounds, float(np.mean(worst <= last))
