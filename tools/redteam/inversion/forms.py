# SPDX-License-Identifier: Apache-2.0
"""Forms in which others store an embedding, and the best estimate of the embedding that each gives away.

Each form stores a batch of unit embeddings (m, d), and estimates them (g, m, d), g guesses each, from what it stored
and from what is public. The attacker holds all of it: matrices, masks and, where a form hands it out, the string.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tools.redteam.inversion import e8, modular
from tools.redteam.inversion.prior import Floats, Prior, units

Integers = npt.NDArray[np.int64]
Stored = TypeVar("Stored")

# Coordinates kept by a random projection: of 704 the face uses some 250, and matching survives far fewer.
PROJECTED = 128
# The earlier LWE scheme: a prime, steps of an embedding (the longest coordinate, about 0.3, fits half of q), and
# unknowns: half are handed out as the key. A scheme with more rows than this is solved without even that.
Q = 12289
STEPS = 8192
UNKNOWNS = 512
# Share of owners whose other image finds the sketch's point again, which sets the size of its cell.
_KEPT = 0.9


class Form(Protocol[Stored]):
    """One way of storing."""

    def store(self, x: Floats, rng: np.random.Generator) -> Stored:
        """Return what is stored of (m, d) unit embeddings."""

    def estimate(self, stored: Stored) -> Floats:
        """Return (g, m, d) guesses of unit length, as good as what is stored allows."""


class Plain:
    """The embedding itself: what most face unlocking stores."""

    def store(self, x: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG002  # draws nothing
        """Store it."""
        return x

    def estimate(self, stored: Floats) -> Floats:
        """Read it."""
        return stored[None]


@dataclass(frozen=True)
class Projected:
    """(m,) seeds of the matrices, one a person, and the (m, r) coordinates seen through them."""

    seeds: Integers
    values: Floats


class RandomProjection:
    """Multispace random projection (Teoh and Yuang, IEEE Trans. SMC-B 2007): fewer coordinates, each user's own."""

    def __init__(self, prior: Prior, rows: int = PROJECTED) -> None:
        self._prior = prior
        self._rows = rows

    def store(self, x: Floats, rng: np.random.Generator) -> Projected:
        """Store the coordinates on orthonormal directions drawn for each person."""
        seeds = rng.integers(0, 1 << 62, len(x))
        return Projected(seeds, np.stack([self._matrix(seed) @ one for seed, one in zip(seeds, x, strict=True)]))

    def estimate(self, stored: Projected) -> Floats:
        """Take the mean of the embeddings that look so."""
        pairs = zip(stored.seeds, stored.values, strict=True)
        return units([[self._prior.given(self._matrix(seed), values) for seed, values in pairs]])

    def _matrix(self, seed: np.int64) -> Floats:
        drawn = np.random.default_rng(seed).normal(size=(len(self._prior.mean), self._rows))
        return np.linalg.qr(drawn)[0].T


@dataclass(frozen=True)
class Helper:
    """(m, d) c, and the (m, UNKNOWNS / 2) half of s that became the key and leaked."""

    c: Integers
    string: Integers


class LweExtractor:
    """The earlier fuzzy extractor: c = A s + w mod q, the insignificant coordinates of w constant, half of s the key.

    Rows of A whose w is constant are equations without noise. With the key known they give the rest of s, and that
    gives all of w.
    """

    def __init__(self, prior: Prior, rng: np.random.Generator) -> None:
        d = len(prior.mean)
        # Small embeddings in tests take as many unknowns in proportion.
        self._unknowns = min(UNKNOWNS, 2 * (d // 3))
        self._prior = prior
        self._a = rng.integers(0, Q, (d, self._unknowns))
        self._free = np.zeros(d, dtype=np.bool_)
        self._free[np.argsort(np.diag(prior.covariance))[: d // 2]] = True

    def store(self, x: Floats, rng: np.random.Generator) -> Helper:
        """Hide the significant coordinates, in whole steps, under s."""
        w = np.where(self._free, 0, np.rint(STEPS * x)).astype(np.int64)
        s = rng.integers(0, Q, (len(x), self._unknowns))
        return Helper((s @ self._a.T + w) % Q, s[:, : self._unknowns // 2])

    def estimate(self, stored: Helper) -> Floats:
        """Fill in the insignificant coordinates by their mean given the others."""
        rows = np.eye(len(self._a))[~self._free]
        return units(self._prior.given(rows, self.noise(stored)[:, ~self._free] / STEPS))[None]

    def noise(self, stored: Helper) -> Integers:
        """Solve for s and subtract A s: (m, d) w, exactly."""
        half = self._unknowns // 2
        known = stored.string @ self._a[:, :half].T
        rest = modular.solve(self._a[self._free][:, half:], ((stored.c - known) % Q)[:, self._free].T, Q).T
        w = (stored.c - known - rest @ self._a[:, half:].T) % Q
        noise: Integers = np.where(w > Q // 2, w - Q, w)
        return noise


class E8Sketch:
    """A secure sketch by the lattice E8, block by block: what is left of x beyond the nearest lattice point.

    Attributes:
        scale: side of the cell (E8 has determinant one).
    """

    def __init__(self, prior: Prior, looks: Floats, again: Floats) -> None:
        """Size the cell so that owners find their point again.

        Args:
            prior: what embeddings are like.
            looks: (m, d) embeddings of people the system was built with.
            again: (m, d) other looks at them.
        """
        self._prior = prior
        low, high = 1e-3, 10.0
        for _ in range(30):
            self.scale = (low * high) ** 0.5
            found = ~np.any(self._points(again - looks), axis=(1, 2))
            low, high = (low, self.scale) if found.mean() >= _KEPT else (self.scale, high)
        self.scale = high

    def store(self, x: Floats, rng: np.random.Generator) -> Floats:  # noqa: ARG002  # draws nothing
        """Store x less the nearest point."""
        return self._rest(x)

    def estimate(self, stored: Floats) -> Floats:
        """Of all x with that rest take the one nearest the mean face."""
        return units(self._prior.mean + self._rest(stored - self._prior.mean))[None]

    def _points(self, x: Floats) -> Floats:
        short = -x.shape[1] % e8.BLOCK
        return e8.nearest(np.pad(x, ((0, 0), (0, short))).reshape(len(x), -1, e8.BLOCK) / self.scale)

    def _rest(self, x: Floats) -> Floats:
        rest: Floats = x - self.scale * self._points(x).reshape(len(x), -1)[:, : x.shape[1]]
        return rest
