# SPDX-License-Identifier: Apache-2.0
"""How hard enrolments are to guess for who holds record and device key, as predicted from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.strength import coset_bits, guesswork_bits
from tools.evaluate.measure import Group

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Strength:
    """Predicted log2 of the points at least as face-like as the true one.

    Attributes:
        people: whose each enrolment is.
        bits: of each enrolment, from itself alone, as the daemon judges it.
        centred: the same to an attacker who knows the mean of these very people, and so their camera and their group;
            where that mean is off the model's, faces look rarer to ``bits`` than they are. Empty with a single person.
        gaussian: G of the population, from how enrolment vectors vary over people; None without enrolments.
    """

    people: list[str]
    bits: list[float]
    centred: list[float]
    gaussian: float | None


def predict(groups: Sequence[Group]) -> Strength:
    """Predict the strength of every enrolment."""
    people: list[str] = []
    bits: list[float] = []
    around: list[float] = []
    for group in groups:
        if not group.trials.enrolments:
            continue
        p = group.parameters
        owners = [enrolment.person for enrolment in group.trials.enrolments]
        vectors = p.projection(np.stack([enrolment.embedding for enrolment in group.trials.enrolments]))
        people += owners
        bits += [coset_bits(y, p.spread, p.cell) for y in vectors]
        if len(set(owners)) > 1:
            around += [coset_bits(y, p.spread, p.cell) for y in centred(vectors, owners)]
    return Strength(people, bits, around, guesswork_bits(p.spread**2, p.cell) if people else None)


def centred(vectors: Floats, owners: Sequence[str]) -> Floats:
    """Return vectors (m, k) from the mean of people, as if it had been taken over infinitely many of them."""
    _, person, counts = np.unique(np.asarray(owners), return_inverse=True, return_counts=True)
    people = len(counts)
    mean = np.average(vectors, axis=0, weights=1 / counts[person])
    # A mean of n people lies nearer to each of them than that of all, by n - 1 to n in variance.
    away: Floats = (vectors - mean) * (people / (people - 1)) ** 0.5
    return away
