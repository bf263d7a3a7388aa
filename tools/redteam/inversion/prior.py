# SPDX-License-Identifier: Apache-2.0
"""What an attacker knows of embeddings before he sees a record: their mean and covariance over people he knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Part of the mean variance that a measurement is taken to be off by: enough to invert, too little to matter.
_OFF = 1e-6


@dataclass(frozen=True)
class Prior:
    """Embeddings as a Gaussian.

    Attributes:
        mean: (d,).
        covariance: (d, d).
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def learn(cls, embeddings: npt.ArrayLike) -> Prior:
        """Take mean and covariance from (m, d) embeddings."""
        x = np.asarray(embeddings, dtype=np.float64)
        return cls(x.mean(axis=0), np.cov(x.T))

    def given(self, matrix: Floats, values: Floats) -> Floats:
        """Return the mean of x where matrix x is known: (r, d) and (..., r) give (..., d), not of unit length."""
        seen = matrix @ self.covariance
        variances = seen @ matrix.T
        variances += _OFF * np.trace(variances) / len(matrix) * np.eye(len(matrix))
        x: Floats = self.mean + (values - matrix @ self.mean) @ np.linalg.solve(variances, seen)
        return x


def units(x: npt.ArrayLike) -> Floats:
    """Scale (..., d) vectors to length one; a zero stays zero."""
    vectors = np.asarray(x, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = vectors / np.where(lengths > 0, lengths, 1)
    return scaled
