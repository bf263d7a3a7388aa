# SPDX-License-Identifier: Apache-2.0
"""Whether an estimate is taken for the person: by a face matcher, and by our own record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.population import Projection
from tools.dataset import Embedded
from tools.evaluate.stats import Interval, clopper_pearson, rate_interval
from tools.redteam.inversion.prior import Floats

Flags = npt.NDArray[np.bool_]

# False accepts at which the matcher of the plain embeddings is set.
FAR = 1e-4


@dataclass(frozen=True)
class Judge:
    """What is asked whether two embeddings show one person.

    Attributes:
        threshold: least cosine at which a face matcher says so.
        projection: P and mu of our records.
        radius: farthest that a look may be from a record that it opens, in within-person deviations.
    """

    threshold: float
    projection: Projection
    radius: float

    def matches(self, x: Floats, enrolled: Floats) -> Flags:
        """Ask the matcher about (..., d) and (..., d) unit embeddings."""
        cosines = (x * enrolled).sum(axis=-1)
        return np.asarray(cosines >= self.threshold)

    def opens(self, x: Floats, enrolled: Floats) -> Flags:
        """Tell which of (..., d) lie where they open a record of (..., d): beyond, decoding finds another point."""
        distances = np.linalg.norm(self.projection(x) - self.projection(enrolled), axis=-1)
        return np.asarray(distances <= self.radius)

    def either(self, x: Floats, enrolled: Floats) -> Flags:
        """Ask both."""
        return self.matches(x, enrolled) | self.opens(x, enrolled)


def threshold(known: Embedded, far: float = FAR) -> float:
    """Return the cosine that a share ``far`` of the pairs of images of two people reach."""
    cosines = known.units @ known.units.T
    people = known.people
    return float(np.quantile(cosines[people[:, None] < people[None]], 1 - far))


@dataclass(frozen=True)
class Rate:
    """How often something succeeded, one trial a person.

    Attributes:
        value: the share.
        interval: 95 %, people drawn again.
        upper: upper end of the exact 95 % interval.
    """

    value: float
    interval: Interval
    upper: float

    @classmethod
    def of(cls, people: Sequence[str], events: Flags, seed: int) -> Rate:
        """Count (m,) events, of a person each; there is at least one."""
        flags = events.tolist()
        upper = clopper_pearson(sum(flags), len(flags))[1]
        return cls(float(events.mean()), rate_interval(people, flags, seed), upper)

    def __str__(self) -> str:
        """Write it with its interval."""
        low, high = self.interval
        return f"{self.value:.1%} ({low:.1%} to {high:.1%})"
