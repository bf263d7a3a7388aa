# SPDX-License-Identifier: Apache-2.0
"""Genuine and impostor trials with real lattice decoding, on people the projection was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.l2fe.extractor import MAX_CANDIDATES, Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import Projection, expected
from facelatch.l2fe.rotation import SEED_BYTES
from tools.dataset import Embedded
from tools.fitting import Sources, refitted

Floats = npt.NDArray[np.float64]
# Part of the distances between people that tells how they thin out: enough of them, and near enough to a match.
_TAIL = (1e-4, 1e-2)


@dataclass(frozen=True)
class Trial:
    """One enrolment and one attempt of the same person.

    Attributes:
        person: whose.
        enrolled: (d,) float32, the mean of the enrolment images' embeddings, of unit length.
        probe: (d,) float32, the same of the attempt's images.
    """

    person: str
    enrolled: npt.NDArray[np.float32]
    probe: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fold:
    """A projection, and trials of people it has never seen."""

    projection: Projection
    trials: list[Trial]


@dataclass(frozen=True)
class Protocol:
    """How trials are drawn.

    Attributes:
        enrol: images of an enrolment.
        probe: images of an attempt.
        repeats: times each person is drawn.
        folds: parts the people are split into.
        seed: of the split and of the draws.
    """

    enrol: int = 5
    probe: int = 3
    repeats: int = 4
    folds: int = 5
    seed: int = 1


def cross_fit(sources: Sources, data: Embedded, protocol: Protocol, k: int) -> list[Fold]:
    """Split the people of the population, which ``data`` is, into folds; draw trials of each by a model without it."""
    rng = np.random.default_rng(protocol.seed)
    parts = refitted(sources.population, sources, rng, k, protocol.folds)
    return [Fold(projection, draw(data.of(held_out), protocol, rng)) for projection, held_out in parts]


def draw(data: Embedded, protocol: Protocol, rng: np.random.Generator) -> list[Trial]:
    """Draw trials from everyone who has images enough; an image serves once in a trial."""
    needed = protocol.enrol + protocol.probe
    trials = []
    for name in np.unique(data.people):
        rows = np.flatnonzero(data.people == name)
        if len(rows) < needed:
            continue
        for _ in range(protocol.repeats):
            chosen = rng.permutation(rows)[:needed]
            enrolled, probe = chosen[: protocol.enrol], chosen[protocol.enrol :]
            enrolment, attempt = (unit(data.embeddings[rows].mean(axis=0)) for rows in (enrolled, probe))
            trials.append(Trial(str(name), enrolment, attempt))
    return trials


def under(parameters: ParameterSet, projection: Projection) -> Extractor:
    """Return an extractor with the shipped lattice and bounds, but another projection."""
    return Extractor(replace(parameters, projection=projection))


def opened(
    extractor: Extractor, enrolled: Sequence[Trial], attempt: Trial, random: Callable[[int], bytes]
) -> list[bool]:
    """Enrol each trial of a list and attempt each of them by name with one: whose point is among Rep's candidates?

    This is the whole of Gen and Rep but the wrapping of S, which any point but the true one fails; and no candidate is
    left out for want of Argon2id runs, so it accepts at least as often as the daemon does.
    """
    seed = random(SEED_BYTES)
    points = [extractor.parameters.lattice.draw(random) for _ in enrolled]
    sketches = [extractor.sketch(trial.enrolled, seed, point) for trial, point in zip(enrolled, points, strict=True)]
    found = extractor.candidates(attempt.probe, sketches, limit=MAX_CANDIDATES * len(sketches), users=1)
    true = {candidate.index for candidate in found if np.array_equal(candidate.point, points[candidate.index])}
    return [index in true for index in range(len(enrolled))]


def genuine(extractor: Extractor, trials: Sequence[Trial], random: Callable[[int], bytes]) -> list[bool]:
    """Tell of each trial whether its attempt opens its own enrolment."""
    return [opened(extractor, [trial], trial, random)[0] for trial in trials]


def distances(fold: Fold, spread: Floats) -> Floats:
    """(m, m) distance of each trial's enrolment to what each trial's attempt lets expect, in deviations."""
    enrolled = fold.projection(np.stack([trial.enrolled for trial in fold.trials]))
    probes = expected(fold.projection(np.stack([trial.probe for trial in fold.trials])), spread)
    squared = ((enrolled[:, None] - probes[None]) ** 2).sum(axis=-1)
    roots: Floats = np.sqrt(squared)
    return roots


def far_exponent(impostors: Floats) -> float:
    """Estimate the power of the radius with which false accepts grow, from (m,) distances between people.

    The slope of their logarithm against the logarithm of the radius, between their 1e-4 and 1e-2 quantiles. The law of
    small distances is the steeper the smaller they are, up to k, so that at the accept radius it errs on the safe side.
    """
    near, far = np.quantile(impostors, _TAIL)
    return float(np.log(_TAIL[1] / _TAIL[0]) / np.log(far / near))


def different_people(fold: Fold) -> npt.NDArray[np.bool_]:
    """(m, m) mask of the pairs of trials that are of two people."""
    people = np.array([trial.person for trial in fold.trials])
    mask: npt.NDArray[np.bool_] = people[:, None] != people[None]
    return mask


def enrolment_variances(folds: Sequence[Fold]) -> Floats:
    """(k,) variance over held-out people of enrolment vectors as Gen makes them, one a person."""
    vectors = []
    for fold in folds:
        first = {trial.person: trial for trial in reversed(fold.trials)}
        projected = fold.projection(np.stack([trial.enrolled for trial in first.values()]))
        vectors.append(projected - projected.mean(axis=0))
    variances: Floats = np.concatenate(vectors).var(axis=0)
    return variances


def people_bootstrap(people: Sequence[str], values: npt.ArrayLike, seed: int, draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the mean of values when people, not trials, are drawn again."""
    _, person = np.unique(np.asarray(people), return_inverse=True)
    totals = np.bincount(person, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(person)
    chosen = np.random.default_rng(seed).integers(0, len(counts), (draws, len(counts)))
    means = totals[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
