# SPDX-License-Identifier: Apache-2.0
"""Whose records are attacked: drawn from the spread the parameter set publishes, or real people held out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.l2fe import population
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import Projection
from facelatch.l2fe.strength import guesswork_bits
from tools import trials
from tools.dataset import Embedded
from tools.fitting import Sources, refitted
from tools.redteam.search import Floats

# Images of an enrolment, as in tools.evaluate; one more at least is left for other uses.
ENROLLED = 5


@dataclass(frozen=True)
class HeldOut:
    """People attacked under one projection, and what the attacker learns from: everybody else.

    Attributes:
        projection: fitted without those attacked.
        people: (m,) whose each enrolment is.
        enrolled: of each the (d,) unit embedding enrolled, as it is drawn.
        vectors: (m, k) y, one enrolment a person.
        left: of each person the (n, d) embeddings of the images that the enrolment left over, in no order.
        known: images of the others.
    """

    projection: Projection
    people: npt.NDArray[np.str_]
    enrolled: tuple[npt.NDArray[np.float32], ...]
    vectors: Floats
    left: tuple[npt.NDArray[np.float32], ...]
    known: Embedded

    def first(self, k: int) -> HeldOut:
        """Return the same in the first k coordinates, which is what a smaller model would have been."""
        return replace(
            self, projection=Projection(self.projection.mean, self.projection.matrix[:k]), vectors=self.vectors[:, :k]
        )

    def taught(self) -> tuple[Floats, Floats]:
        """Return what the others teach of enrolment vectors.

        Returns:
            (n, k) mean of each one's looks, and (k, k) what these means vary by beyond what those of enrolments do.
        """
        looks = self.projection(self.known.units)
        _, person, counts = np.unique(self.known.people, return_inverse=True, return_counts=True)
        means = np.zeros((len(counts), looks.shape[1]))
        np.add.at(means, person, looks)
        beyond = float(np.mean(1 / counts)) - 1 / ENROLLED
        return means / counts[:, None], beyond * population.scatter(looks, person)


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


def held_out(sources: Sources, data: Embedded, k: int, seed: int, *, few: bool = False) -> list[HeldOut]:
    """Split the people of the population, which ``data`` is, into folds; enrol those who have images enough.

    With ``few`` those of the first fold alone, as one fit is enough for them.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for projection, chosen in itertools.islice(refitted(sources.population, sources, rng, k), 1 if few else None):
        drawn = enrolments(data.of(chosen), rng)
        if drawn:
            people, embeddings, left = zip(*drawn, strict=True)
            vectors = projection(np.stack(embeddings))
            parts.append(
                HeldOut(projection, np.array(people, dtype=np.str_), embeddings, vectors, left, data.of(~chosen))
            )
    return parts


def enrolments(
    data: Embedded, rng: np.random.Generator
) -> list[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Draw one enrolment of everyone with images enough: person, (d,) unit embedding, (n, d) what is left over."""
    drawn = []
    for name in np.unique(data.people).tolist():
        rows = rng.permutation(np.flatnonzero(data.people == name))
        if len(rows) > ENROLLED:
            enrolled = unit(data.embeddings[rows[:ENROLLED]].sum(axis=0))
            drawn.append((name, enrolled, data.embeddings[rows[ENROLLED:]]))
    return drawn


def spread(parts: Sequence[HeldOut]) -> Floats:
    """(k,) deviation of enrolment vectors over the people held out, about the mean of each part, as is published."""
    deviations: Floats = np.concatenate([part.vectors - part.vectors.mean(axis=0) for part in parts]).std(axis=0)
    return deviations
