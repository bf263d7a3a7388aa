# SPDX-License-Identifier: Apache-2.0
"""What the population says of embeddings: the projection in which a person's looks vary by one unit every way.

Linear discriminant analysis (Fisher 1936; Rao 1948) with a shrunk within-person covariance (Ledoit and Wolf's target,
weight chosen by cross-validation in tools/build_parameters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Projection:
    """y = P (x - mu): within-person covariance the identity, the coordinate of most between-person variance first.

    Attributes:
        mean: (d,) mu.
        matrix: (k, d) P.
    """

    mean: Floats
    matrix: Floats

    def __call__(self, embeddings: npt.ArrayLike) -> Floats:
        """Project embeddings (..., d) to y (..., k)."""
        projected: Floats = (np.asarray(embeddings, dtype=np.float64) - self.mean) @ self.matrix.T
        return projected


def fit(
    embeddings: npt.ArrayLike,
    people: npt.ArrayLike,
    k: int,
    shrinkage: float,
    *,
    changes: Floats | None = None,
    share: float = 0.0,
) -> Projection:
    """Fit a projection to unit embeddings (m, d) with one person label (m,) each.

    Args:
        embeddings: people with a single image inform the between-person spread, the others both.
        people: labels of any type that sorts.
        k: coordinates to keep.
        shrinkage: 0 to 1, how far the within-person covariance is drawn to a multiple of the identity.
        changes: (d, d) within-person covariance of other people, who were seen in more conditions.
        share: 0 to 1, its share in the within-person covariance that is used.
    """
    x = np.asarray(embeddings, dtype=np.float64)
    means, person, counts = _means(x, people)
    own = scatter(x, person)
    within = own if changes is None else (1 - share) * own + share * changes
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / len(within) * np.eye(len(within))
    # The means of few images still hold within-person noise, which is not spread between people.
    between = np.cov(means.T) - own * float(np.mean(1 / counts))

    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    spread, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    strongest = np.argsort(-spread)[:k]
    return Projection(mean=means.mean(axis=0), matrix=(whiten @ directions[:, strongest]).T)


def scatter(embeddings: npt.ArrayLike, people: npt.ArrayLike) -> Floats:
    """Return the pooled within-person covariance (d, d) of embeddings (m, d) with one person label (m,) each."""
    x = np.asarray(embeddings, dtype=np.float64)
    means, person, counts = _means(x, people)
    deviations = x - means[person]
    covariance: Floats = deviations.T @ deviations / (len(x) - len(counts))
    return covariance


def _means(x: Floats, people: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return each person's mean (p, d), the row of it for each embedding (m,), and the embeddings a person has (p,)."""
    _, person, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, person, x)
    return means / counts[:, None], person, counts
