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

# Variance of an attempt in each coordinate beside what its owner's enrolment holds: on held-out people some 0.8 in the
# median on LFW, about 3 on other days. From two thirds to four thirds makes little difference (docs/accuracy.md).
_ATTEMPT_NOISE = 1.0


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
        embeddings: people with a single image inform the mean only.
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
    between = _between(x, means, person, counts)

    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    spread, directions = np.linalg.eigh(whiten.T @ between @ whiten)
    strongest = np.argsort(-spread)[:k]
    return Projection(mean=means.mean(axis=0), matrix=(whiten @ directions[:, strongest]).T)


def expected(y: npt.ArrayLike, spread: npt.ArrayLike) -> Floats:
    """Return the enrolment vectors (..., k) that attempts let one expect: each coordinate is drawn to the mean.

    An attempt shows part person, part noise, so its owner most likely stands nearer to the mean of all: the best linear
    prediction of one variable from another (Henderson, Biometrics 1975). Where people hardly differ it gives way most.

    Args:
        y: attempts, about the mean.
        spread: (k,) deviation of each coordinate of enrolment vectors over people.
    """
    variance = np.asarray(spread, dtype=np.float64) ** 2
    drawn: Floats = np.asarray(y, dtype=np.float64) * (variance / (variance + _ATTEMPT_NOISE))
    return drawn


def scatter(embeddings: npt.ArrayLike, people: npt.ArrayLike) -> Floats:
    """Return the pooled within-person covariance (d, d) of embeddings (m, d) with one person label (m,) each."""
    x = np.asarray(embeddings, dtype=np.float64)
    means, person, counts = _means(x, people)
    deviations = x - means[person]
    covariance: Floats = deviations.T @ deviations / (len(x) - len(counts))
    return covariance


def _between(x: Floats, means: Floats, person: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]) -> Floats:
    """Return the covariance (d, d) of two different images of one person, over people who have two: what stays.

    The noise of an image is in no product with another, so none has to be taken off, as it would from that of means.
    """
    several = counts > 1
    n = counts[several].astype(np.float64)
    centre = means[several].mean(axis=0)
    own = several[person]
    # All products of a person's n images sum to (n mean)^2; without those of an image by itself n (n - 1) are left.
    weight = np.zeros(len(counts))
    weight[several] = 1 / (n * (n - 1) * len(n))
    totals = (counts[:, None] * (means - centre)) * np.sqrt(weight)[:, None]
    images = (x[own] - centre) * np.sqrt(weight)[person[own], None]
    covariance: Floats = totals.T @ totals - images.T @ images
    return covariance


def _means(x: Floats, people: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return each person's mean (p, d), the row of it for each embedding (m,), and the embeddings a person has (p,)."""
    _, person, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), x.shape[1]))
    np.add.at(means, person, x)
    return means / counts[:, None], person, counts
