# SPDX-License-Identifier: Apache-2.0
"""What the population model is fitted to: many people in a few pictures each, and a few people in many conditions.

The first say how people differ. The second say how one person differs from day to day and light to light, of which
press photographs show too little: their within-person covariance is mixed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facelatch.l2fe import population
from facelatch.l2fe.population import Projection
from tools import dataset
from tools.dataset import Embedded

# Chosen on lfw-dev, nuaa-dev and extyaleb-dev by people left out; all on a plateau (docs/accuracy.md).
SHRINKAGE = 0.45
SHARE_OF_CHANGES = 0.4


@dataclass(frozen=True)
class Faces:
    """Embeddings, and whose they are.

    Attributes:
        origin: the folder they came from, resolved; people of one name in two folders are two.
        embeddings: (m, d) float32, of unit length.
        people: (m,) str.
        name: what to call the set.
    """

    origin: Path
    embeddings: npt.NDArray[np.float32]
    people: npt.NDArray[np.str_]
    name: str = ""

    def without(self, people: Collection[str]) -> Faces:
        """Return those of everybody else."""
        kept = ~np.isin(self.people, list(people))
        return Faces(self.origin, self.embeddings[kept], self.people[kept], self.name)


@dataclass(frozen=True)
class Sources:
    """What a model is fitted to.

    Attributes:
        population: many people.
        changes: sets of a few people in many conditions, each counting alike.
    """

    population: Faces
    changes: tuple[Faces, ...] = ()

    def without(self, origin: Path, people: Collection[str]) -> Sources:
        """Leave people of one folder out, wherever it is used."""
        faces = [part.without(people) if part.origin == origin else part for part in (self.population, *self.changes)]
        return Sources(faces[0], tuple(faces[1:]))

    def fit(self, k: int) -> Projection:
        """Fit a projection to k coordinates."""
        scatters = [population.scatter(part.embeddings, part.people) for part in self.changes]
        changes = np.mean(scatters, axis=0) if scatters else None
        return population.fit(
            self.population.embeddings,
            self.population.people,
            k,
            SHRINKAGE,
            changes=changes,
            share=SHARE_OF_CHANGES if scatters else 0.0,
        )


def faces(folder: Path, data: Embedded, *, sessions: bool = False) -> Faces:
    """Label a data set by person; with ``sessions``, a folder's name may end in a dash and a session's number."""
    people = [_person(name) if sessions else name for name in data.people.tolist()]
    return Faces(folder.resolve(), data.units, np.array(people, dtype=np.str_), folder.name)


def read(population_folder: Path, changes: Collection[Path], *, at_least: int = 1) -> Sources:
    """Embed the folders that a model is fitted to; of the changes, whatever the quality gate says.

    Raises:
        DatasetError: one is missing, or shows no face.
    """
    people = faces(population_folder, dataset.embed(population_folder, at_least=at_least))
    changed = [faces(folder, dataset.embed(folder, ungated=True), sessions=True) for folder in changes]
    return Sources(people, tuple(changed))


def refitted(
    judged: Faces, sources: Sources, rng: np.random.Generator, k: int, folds: int = 5
) -> Iterator[tuple[Projection, npt.NDArray[np.bool_]]]:
    """Split the people to be judged into folds; give for each a model that has not seen them, and its (m,) mask."""
    names, person = np.unique(judged.people, return_inverse=True)
    fold_of = rng.integers(0, folds, len(names))
    for fold in range(folds):
        yield sources.without(judged.origin, names[fold_of == fold].tolist()).fit(k), (fold_of == fold)[person]


def _person(folder: str) -> str:
    person, _, session = folder.rpartition("-")
    return person if person and session.isdigit() else folder
