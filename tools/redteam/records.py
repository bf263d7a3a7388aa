# SPDX-License-Identifier: Apache-2.0
"""Whose records are attacked: drawn from the spread the parameter set publishes, or real people held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.strength import guesswork_bits
from tools import trials
from tools.dataset import Embedded
from tools.fitting import Sources
from tools.redteam.search import Floats


@dataclass(frozen=True)
class Population:
    """Enrolment vectors, and what an attacker knows of them beforehand.

    Attributes:
        name: for people.
        vectors: (m, k) y, one a person.
        spread: (k,) deviation over people of each coordinate.
    """

    name: str
    vectors: Floats
    spread: Floats

    def cell(self, guesswork: float) -> float:
        """Side of the lattice's cell, in within-person deviations, at which the estimate G is so many bits."""
        cell: float = 2 ** ((guesswork_bits(self.spread**2, 1.0) - guesswork) / len(self.spread))
        return cell


def synthetic(p: ParameterSet, k: int, count: int, seed: int) -> Population:
    """Draw vectors with the spread of the set's first k coordinates."""
    spread = p.spread[:k]
    vectors = spread * np.random.default_rng([seed, k]).normal(size=(count, k))
    return Population("Gaussian", vectors, spread)


def real(sources: Sources, data: Embedded, k: int) -> Population:
    """Return one enrolment of everyone who has images enough, each under a projection fitted without them.

    The attacker takes the mean from the projection, which is public. The spread is about the mean of each fold, as
    the published one is.
    """
    folds = trials.cross_fit(sources, data, trials.Protocol(), k)
    vectors = []
    for fold in folds:
        first = {trial.person: trial for trial in reversed(fold.trials)}
        vectors.append(fold.projection(np.stack([trial.enrolled for trial in first.values()])))
    return Population("faces", np.concatenate(vectors), np.sqrt(trials.enrolment_variances(folds)))
