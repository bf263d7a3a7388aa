# SPDX-License-Identifier: Apache-2.0
"""What every attack is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import Projection
from tools import fitting
from tools.dataset import Embedded
from tools.decoding.tables import Table
from tools.fitting import Sources

# Of the people, so many are attacked; the attacker learns what faces are like from all others.
_ATTACKED = 1 / 3


@dataclass(frozen=True)
class Split:
    """People attacked, and people the attacker learns from; nobody is both.

    Attributes:
        targets: images of those attacked.
        known: images of the others.
        parameters: the set, with a population model fitted without those attacked.
    """

    targets: Embedded
    known: Embedded
    parameters: ParameterSet


@dataclass(frozen=True)
class Job:
    """What is attacked.

    Attributes:
        folder: the data set, whose pictures some attacks need.
        data: its embeddings.
        sources: what population models are fitted to.
        parameters: the shipped set.
        quick: make each attack small enough for a test; its figures then tell that it works, and no more.
        seed: of all draws.
    """

    folder: Path
    data: Embedded
    sources: Sources
    parameters: ParameterSet
    quick: bool = False
    seed: int = 1

    @cached_property
    def split(self) -> Split:
        """People split in two, and a model that has not seen those attacked."""
        people = np.unique(self.data.people)
        rng = np.random.default_rng([self.seed, 0])
        attacked = rng.permutation(people)[: round(_ATTACKED * len(people))].tolist()
        targets = np.isin(self.data.people, attacked)
        projection = self.sources.without(self.folder.resolve(), attacked).fit(self.parameters.k)
        return Split(self.data.of(targets), self.data.of(~targets), replace(self.parameters, projection=projection))

    @cached_property
    def folds(self) -> list[tuple[Projection, npt.NDArray[np.bool_]]]:
        """All people in five parts: for each a model that has not seen it, and its (m,) mask of images."""
        rng = np.random.default_rng([self.seed, 1])
        return list(fitting.refitted(self.sources.population, self.sources, rng, self.parameters.k))


@dataclass(frozen=True)
class Control:
    """The attack on something weakened on purpose: an attack that cannot succeed shows nothing.

    Attributes:
        name: what was weakened, and what is to be seen.
        bites: the attack succeeded there.
    """

    name: str
    bites: bool


@dataclass(frozen=True)
class Outcome:
    """What an attack found.

    Attributes:
        figures: for the JSON file.
        tables: for the terminal and the report.
        controls: every one is to bite.
        said: sentences a door owner understands.
        pictures: sections of the report, HTML; only a report of one's own data shows faces.
    """

    figures: Mapping[str, object]
    tables: Sequence[Table] = ()
    controls: Sequence[Control] = ()
    said: Sequence[str] = ()
    pictures: Sequence[str] = field(default=(), repr=False)
