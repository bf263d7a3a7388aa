# SPDX-License-Identifier: Apache-2.0
"""What an attacker believes of an enrolment vector before guessing: a Gaussian, or several with their chances.

The order of guesses is that of likelihood. For one Gaussian the guesses before the true one fill an ellipsoid. For a
mixture the likeliest of its parts is taken for the whole, and the ellipsoids, one a part, are joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Parts of a mixture lean on the covariance of all by so much: one is of a few hundred people.
_LEAN = 0.3
# Least variance that a belief holds possible, in within-person deviations squared: an enrolment is itself a mean of
# five looks.
_LEAST = 0.2
_ATTEMPTS = 5


@dataclass(frozen=True)
class Gaussian:
    """Normal about ``mean``.

    Attributes:
        mean: (k,).
        whitening: (k, k), takes y - mean to unit variance every way.
        chance: of this one, among several.
    """

    mean: Floats
    whitening: Floats
    chance: float = 1.0

    @property
    def height(self) -> float:
        """Log of the density at the mean, but for a constant of k, times the chance."""
        return float(np.linalg.slogdet(self.whitening)[1]) + math.log(self.chance)

    def away(self, y: npt.ArrayLike) -> Floats:
        """Distance of (..., k) from the mean, in deviations."""
        distance: Floats = np.linalg.norm((np.asarray(y) - self.mean) @ self.whitening.T, axis=-1)
        return distance


Belief = tuple[Gaussian, ...]


def normal(mean: Floats, covariance: Floats, chance: float = 1.0) -> Gaussian:
    """Return a belief of mean (k,) and covariance (k, k); no direction is held narrower than an enrolment's noise."""
    values, vectors = np.linalg.eigh(covariance)
    return Gaussian(mean, (vectors / np.sqrt(np.maximum(values, _LEAST))).T, chance)


def apart(mean: Floats, deviations: Floats) -> Gaussian:
    """Return a belief in which coordinates know nothing of each other, (k,) and (k,)."""
    return Gaussian(mean, np.diag(1 / deviations))


def reaches(belief: Belief, y: Floats) -> list[float]:
    """Return how far each part is searched before y, (k,), is tried; 0 for a part that is not reached."""
    heights = [part.height for part in belief]
    level = max(height - 0.5 * float(part.away(y)) ** 2 for height, part in zip(heights, belief, strict=True))
    return [math.sqrt(max(2 * (height - level), 0.0)) for height in heights]


def expected_bits(belief: Belief, y: Floats, cell: float) -> float:
    """Log2 of the points expected before y on a lattice of cell v: the ellipsoids' volume, overlaps counted twice.

    For the single Gaussian of a parameter set this is ``strength.coset_bits``.
    """
    return float(np.logaddexp2.reduce(part_bits(belief, reaches(belief, y), cell)))


def part_bits(belief: Belief, reached: Sequence[float], cell: float) -> list[float]:
    """Log2 of the points expected within reach of each part; minus infinity for one that is not reached."""
    k = len(belief[0].mean)
    ball = 0.5 * k * math.log2(math.pi) - math.lgamma(k / 2 + 1) / math.log(2) - k * math.log2(cell)
    return [
        ball + k * math.log2(reach) - float(np.linalg.slogdet(part.whitening)[1]) / math.log(2) if reach else -math.inf
        for part, reach in zip(belief, reached, strict=True)
    ]


def mixture(means: Floats, noise: Floats, parts: int, seed: int) -> Belief:
    """Fit a mixture to people's means (n, k): clusters (Lloyd), each with its own covariance.

    Args:
        means: of people the attacker knows.
        noise: (k, k) what the means of few looks vary by beyond those of an enrolment.
        parts: their number; one is a single Gaussian with all of its covariance.
        seed: of the clusters.
    """
    whole = np.cov(means.T)
    if parts == 1:
        return (normal(means.mean(axis=0), whole - noise),)
    scale = np.sqrt(np.diag(whole))
    cv2.setRNGSeed(seed)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    start = np.zeros((len(means), 1), dtype=np.int32)
    samples = (means / scale).astype(np.float32)
    found = cv2.kmeans(samples, parts, start, stop, _ATTEMPTS, cv2.KMEANS_PP_CENTERS)[1].ravel()
    belief = []
    for number in range(parts):
        own = means[found == number]
        if len(own) > 1:
            covariance = (1 - _LEAN) * np.cov(own.T) + _LEAN * whole - noise
            belief.append(normal(own.mean(axis=0), covariance, len(own) / len(means)))
    return tuple(belief)


def nearest_part(belief: Belief, y: Floats) -> Belief:
    """Return the part that y, (k,), belongs to, as somebody would know who was told the owner's group."""
    values = [part.height - 0.5 * float(part.away(y)) ** 2 for part in belief]
    best = belief[int(np.argmax(values))]
    return (Gaussian(best.mean, best.whitening),)


def from_pairs(hints: Floats, vectors: Floats) -> tuple[Floats, Floats, Floats]:
    """Learn what a hint tells of an enrolment vector, coordinate by coordinate, from pairs of others (m, k).

    Returns:
        (k,) slope, offset, and deviation that is left: together ``apart(offset + slope * hint, deviation)``.
    """
    hint, vector = hints.mean(axis=0), vectors.mean(axis=0)
    slope = ((hints - hint) * (vectors - vector)).mean(axis=0) / hints.var(axis=0)
    offset = vector - slope * hint
    left = np.sqrt(((vectors - offset - slope * hints) ** 2).mean(axis=0))
    return slope, offset, np.maximum(left, _LEAST**0.5)


def joined(belief: Belief, reached: Sequence[float], vectors: Floats, weights: Floats) -> float:
    """Sum the weights (m,) of points (m, k) found in one part, each shared with the other parts that it lies in.

    Args:
        belief: the parts.
        reached: how far each is searched.
        vectors: y' of the points.
        weights: how many points each stands for.
    """
    inside = [part.away(vectors) < reach for part, reach in zip(belief, reached, strict=True)]
    return float((weights / np.maximum(np.sum(inside, axis=0), 1)).sum())
