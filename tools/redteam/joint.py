# SPDX-License-Identifier: Apache-2.0
"""Several records of one person as one lattice: the closest-point search in dimension r k.

r records of one person hide y_1 ... y_r, each the person plus a look's noise. Their cosets side by side are the coset
of a lattice in r k dimensions, of which the likeliest point is sought: in coordinates turned so that the mean of the
y_i stands beside their differences, and divided by the deviations of both, it is the nearest one to zero. Differences
are small, so that for two records hardly any other pair of points comes as near; but to find it, a closest point in
r k dimensions must be found, in a lattice that two rotations have left without structure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facelatch.l2fe.decoder import Decoder
from tools import bases
from tools.redteam import lattices
from tools.redteam.search import Floats, Integers

# fpylll reduces whole numbers: whitened coordinates are rounded to so many steps.
_STEPS = 1 << 32
# What is left of the variance between people where a look's noise is most of it.
_LEAST_VARIANCE = 1e-3


@dataclass(frozen=True)
class Together:
    """Several records as one coset.

    Attributes:
        c: (r k,) int64, their sketches one after the other.
        whitening: (r k, r k), takes what c hides to coordinates of unit deviation.
    """

    c: Integers
    whitening: Floats


def whitening(rotations: Sequence[Floats], scale: float, spread: Floats, noise: float) -> Floats:
    """Return the map from w_1 ... w_r, (r k,), to independent coordinates of unit deviation, (r k, r k).

    Args:
        rotations: (k, k) U of each record.
        scale: D.
        spread: (k,) deviation over people of each coordinate of one enrolment vector.
        noise: variance of a coordinate of one enrolment vector about its person.
    """
    count, k = len(rotations), len(spread)
    person = np.maximum(spread**2 - noise, _LEAST_VARIANCE)
    mean = np.sqrt(count * person + noise)
    deviations = np.concatenate([mean, np.full((count - 1) * k, math.sqrt(noise))])
    back = np.zeros((count * k, count * k))
    for number, turned in enumerate(rotations):
        back[number * k :, number * k :][:k, :k] = turned.T / scale
    together: Floats = np.kron(_helmert(count), np.eye(k)) @ back / deviations[:, None]
    return together


def _helmert(count: int) -> Floats:
    """(r, r) orthogonal matrix whose first row is the mean, the others differences."""
    columns = np.eye(count)
    columns[:, 0] = 1
    q, r = np.linalg.qr(columns)
    turned: Floats = (q * np.sign(np.diag(r))).T
    return turned


class Joint:
    """The reduced lattice of several records; whichever c they hold, as long as their rotations are these.

    Args:
        basis: (k, k) of one record's lattice.
        map_: as ``whitening`` gives it.
        block: of the reduction.
    """

    def __init__(self, basis: Integers, map_: Floats, block: int) -> None:
        count = len(map_) // len(basis)
        self._basis = np.kron(np.eye(count, dtype=np.int64), basis)
        self._map = map_
        whitened = self._basis @ map_.T
        self._unit = _STEPS / float(np.abs(whitened).max())
        self._reduced = bases.reduced(np.rint(whitened * self._unit).astype(np.int64), block)

    def needed(self, hidden: Floats) -> Floats:
        """Estimate the log2 of the beam at which each of (m, r k) whitened true points survives every level.

        At each level it must be among the best partial points; as many of these are better as fit into the ball
        through it, by volume (the Gaussian heuristic).
        """
        q, r = np.linalg.qr(self._reduced.T.astype(np.float64))
        lengths = np.abs(np.diag(r))[::-1] / self._unit
        levels = np.arange(1, len(lengths) + 1)
        balls = np.array([0.5 * n * math.log2(math.pi) - math.lgamma(n / 2 + 1) / math.log(2) for n in levels])
        squared = np.cumsum((hidden @ q)[:, ::-1] ** 2, axis=1)
        better: Floats = balls - np.cumsum(np.log2(lengths)) + 0.5 * levels * np.log2(squared)
        most: Floats = np.maximum(better.max(axis=1), 0.0)
        return most

    def nearest(self, sketches: Integers, beam: int) -> Floats:
        """Return what the likeliest points found hide, (m, r k) in whitened coordinates, of (m, r k) sketches.

        A K-best search: the budget is the beam, in partial points of each of r k levels, and it may miss the best.
        """
        return np.stack([found[0] for found in self.listed(sketches, beam, 1)])

    def listed(self, sketches: Integers, beam: int, count: int) -> list[Floats]:
        """Return for each of (m, r k) sketches what the ``count`` likeliest points found hide, (n, r k), whitened."""
        targets = lattices.short(sketches, self._basis) @ self._map.T * self._unit
        found = Decoder(self._reduced, beam)(targets, math.inf, count)
        return [
            (target - np.stack([candidate.point for candidate in row])) / self._unit
            for target, row in zip(targets, found, strict=True)
        ]


def ambiguity(dimension: int, log2_volume: float) -> float:
    """Log2 of how many points are at least as likely as the true one, as ``strength.guesswork_bits`` has it."""
    entropy = 0.5 * dimension * math.log2(2 * math.pi * math.e)
    return entropy - log2_volume - 0.5 * math.log2(math.pi * dimension)


def log2_volume(basis: Integers, map_: Floats) -> float:
    """Log2 of the volume of the joint lattice's cell, in whitened units."""
    count = len(map_) // len(basis)
    one = np.linalg.slogdet(basis.astype(np.float64))[1]
    return float((count * one + np.linalg.slogdet(map_)[1]) / math.log(2))
