# SPDX-License-Identifier: Apache-2.0
"""Errors of decoding under noise, told apart into those of any decoder and those of ours; and the noise it bears.

A lattice looks the same from each of its points, so the point sent is 0 and the target is the noise itself. Noise is
measured in sides v of the lattice's cell, so that lattices of any determinant compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe import decoder
from facelatch.l2fe.decoder import Decoder

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# Tells of each of (m, k) noise vectors whether it is removed.
Removes = Callable[[Floats], Flags]

# Noise a search brackets: below, next to nothing fails; above, next to nothing survives.
LEAST, MOST = 0.08, 0.32
# Halvings of that range: to two thousandths of the noise looked for, and quantiles average over many.
_HALVINGS = 9
# Points whose distances differ by less than rounding are the same.
_TIE = 1e-9


@dataclass(frozen=True)
class Errors:
    """What went wrong with each of m targets.

    Attributes:
        nearer: (m,) a point nearer than the true one came back: exhaustive decoding fails here too.
        farther: (m,) a point farther than the true one came back: the decoder's own miss, whatever others would do.
    """

    nearer: Flags
    farther: Flags


def split(decode: Decoder, noise: Floats) -> Errors:
    """Decode (m, k) noise, in lattice units, and tell errors apart."""
    length = np.linalg.norm(noise, axis=1)
    best = [row[0] for row in decode(noise, math.inf, 1)]
    wrong = np.array([bool(candidate.point.any()) for candidate in best])
    nearer = np.array([candidate.distance for candidate in best]) < length * (1 - _TIE)
    return Errors(nearer=wrong & nearer, farther=wrong & ~nearer)


def removal(decode: Decoder, side: float, best: int = 1) -> Removes:
    """Return a test of noise, in cell sides: is the true point among the ``best`` nearest that the decoder finds?"""

    def removes(noise: Floats) -> Flags:
        found = decode(noise * side, math.inf, best)
        return np.array([any(not candidate.point.any() for candidate in row) for row in found])

    return removes


def every(removes: Removes, copies: int) -> Removes:
    """Test noise of several copies of a lattice: it is removed if that of every copy is."""

    def together(directions: Floats) -> Flags:
        parts = directions.reshape(len(directions) * copies, -1)
        return np.asarray(removes(parts).reshape(-1, copies).all(axis=1))

    return together


def borne(removes: Removes, directions: Floats, most: float = MOST) -> Floats:
    """Return for each of (m, k) directions how much of it is borne: the largest multiple, to ``most``, still removed.

    By bisection. That is exact for exhaustive decoding, whose cells are convex, and within its own noise for ours.
    """
    low, high = np.full(len(directions), LEAST), np.full(len(directions), most)
    # Exhaustive search is slow at much noise: a first look spares it those that bear the most.
    low[removes(directions * most)] = most
    for _ in range(_HALVINGS):
        open_ = np.flatnonzero(low < most)
        middle = (low[open_] + high[open_]) / 2
        right = removes(directions[open_] * middle[:, None])
        low[open_], high[open_] = np.where(right, middle, low[open_]), np.where(right, high[open_], middle)
    return low


def decibels(ratio: float) -> float:
    """Ratio of two noise levels in dB."""
    return 20 * math.log10(ratio)


def bits(ratio: float, k: int) -> float:
    """Strength gained by bearing so much more noise: the cell's side shrinks by the ratio, its volume by ratio^k."""
    return k * math.log2(ratio)


def ball_radius(k: int) -> float:
    """Radius of a ball of volume one in k dimensions."""
    return math.exp(math.lgamma(k / 2 + 1) / k) / math.sqrt(math.pi)


def sphere_bound(sigma: float, k: int) -> float:
    """Least error of any lattice in an even number of dimensions: Gaussian noise leaves a ball of the cell's volume.

    No cell of that volume holds more of the noise than the ball (Tarokh, Vardy and Zeger, "Universal bound on the
    performance of lattice codes", IEEE Trans. Inf. Theory 1999). The tail of chi-squared with even k is a Poisson sum.
    """
    assert k % 2 == 0
    half = (ball_radius(k) / sigma) ** 2 / 2
    return sum(math.exp(j * math.log(half) - half - math.lgamma(j + 1)) for j in range(k // 2))


def sphere_level(error: float, k: int) -> float:
    """Noise at which the sphere bound reaches an error."""
    low, high = LEAST, MOST
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if sphere_bound(middle, k) > error else (middle, high)
    return low


@contextmanager
def children(count: int) -> Iterator[None]:
    """Let the decoder try so many integers a coordinate, which is a constant of it."""
    kept = decoder.CHILDREN, decoder._CHILDREN_STEPS
    decoder.CHILDREN = count
    decoder._CHILDREN_STEPS = np.array([(i + 1) // 2 * (1 if i % 2 else -1) for i in range(count)], dtype=np.float64)
    try:
        yield
    finally:
        decoder.CHILDREN, decoder._CHILDREN_STEPS = kept
