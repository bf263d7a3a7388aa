# SPDX-License-Identifier: Apache-2.0
"""Noise of real faces: what separates an enrolment from an attempt of the same person, on people held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.population import expected
from tools import trials
from tools.dataset import Embedded
from tools.decoding.noise import Floats
from tools.fitting import Sources

# Rotations that each trial is decoded under; Gen draws one.
ROTATIONS = 2


@dataclass(frozen=True)
class Sample:
    """Noise, and whose it is.

    Attributes:
        directions: (m, k) noise, of real faces in within-person deviations, else with unit deviation.
        owners: (m,) labels; samples with one label are drawn again together.
    """

    directions: Floats
    owners: npt.NDArray[np.int64]


def genuine(sources: Sources, data: Embedded, k: int, seed: int) -> Sample:
    """Return the noise of cross-fitted genuine trials, each under several rotations.

    Gen also rounds w to integers; with D >= 16 that adds less than 1 part in 3000 to the variance and is left out.
    """
    rng = np.random.default_rng(seed)
    people: list[str] = []
    directions = []
    folds = trials.cross_fit(sources, data, trials.Protocol(seed=seed), k)
    spread = np.sqrt(trials.enrolment_variances(folds))
    for fold in folds:
        enrolled = fold.projection(np.stack([trial.enrolled for trial in fold.trials]))
        probes = expected(fold.projection(np.stack([trial.probe for trial in fold.trials])), spread)
        for error, trial in zip(probes - enrolled, fold.trials, strict=True):
            for _ in range(ROTATIONS):
                directions.append(error @ rotation(k, rng))
                people.append(trial.person)
    _, owners = np.unique(np.array(people, dtype=np.str_), return_inverse=True)
    return Sample(np.array(directions), owners.astype(np.int64))


def gaussian(count: int, k: int, seed: int) -> Sample:
    """Return spherical Gaussian noise of unit deviation."""
    return Sample(np.random.default_rng(seed).normal(size=(count, k)), np.arange(count))


def rotation(k: int, rng: np.random.Generator) -> Floats:
    """Draw a rotation uniformly (Mezzadri, "How to generate random matrices from the classical compact groups")."""
    q, r = np.linalg.qr(rng.normal(size=(k, k)))
    turned: Floats = q * np.sign(np.diag(r))
    return turned


def interval(
    owners: npt.NDArray[np.int64], statistic: Callable[[npt.NDArray[np.int64]], float], seed: int, draws: int = 1000
) -> tuple[float, float]:
    """95 % interval of a statistic of rows, (m,) indices, when owners, not rows, are drawn again."""
    rng = np.random.default_rng(seed)
    rows = np.argsort(owners, kind="stable")
    groups = np.split(rows, np.flatnonzero(np.diff(owners[rows])) + 1)
    values = []
    for _ in range(draws):
        chosen = rng.integers(0, len(groups), len(groups))
        values.append(statistic(np.concatenate([groups[index] for index in chosen])))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def within_radius(borne: Floats, directions: Floats) -> Floats:
    """Return the noise borne when a match must also lie within sqrt(k / (2 pi e)) v, as build_parameters has it."""
    k = directions.shape[1]
    reach = math.sqrt(k / (2 * math.pi * math.e)) / np.linalg.norm(directions, axis=1)
    least: Floats = np.minimum(borne, reach)
    return least
