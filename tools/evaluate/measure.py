# SPDX-License-Identifier: Apache-2.0
"""Runs the trials: every genuine attempt is decoded, and every impostor's that could possibly be accepted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import expected
from tools import fitting, trials
from tools.dataset import DatasetError, Embedded
from tools.evaluate.lock import Lock, at_cell, reach
from tools.evaluate.protocol import Attempt, Enrolment, Protocol, Trials, draw

Floats = npt.NDArray[np.float64]
# Impostor attempts out of reach that are decoded all the same, over all groups, as a check.
DECODED_ANYWAY = 1000
# Impostor attempts at most, for memory's sake; with more people, every second, third ... attempt is made.
_MOST = 20_000_000
# Fitting the model needs people: several for each of its coordinates.
_PEOPLE_A_COORDINATE = 4


@dataclass(frozen=True)
class Refit:
    """What models are fitted to anew, and the folder of those who are judged: each by a model without them."""

    sources: fitting.Sources
    judged: Path


@dataclass(frozen=True)
class Group:
    """People tried under one population model.

    Attributes:
        parameters: the set, with the model to be used and, as ``spread``, how enrolment vectors vary over people.
        trials: of people that the model was not fitted to, unless the set itself was.
    """

    parameters: ParameterSet
    trials: Trials


@dataclass(frozen=True)
class Genuine:
    """How a genuine attempt went.

    Attributes:
        enrolled_in: the folder of the enrolment.
        attempted_in: the folder of the attempt.
        distance: least distance over the looks that are decided on, in within-person deviations.
        opened_at: index of the look that opened, or None.
    """

    person: str
    enrolled_in: str
    attempted_in: str
    distance: float
    opened_at: int | None


@dataclass(frozen=True)
class Impostors:
    """How attempts at other people's enrolments went.

    Attributes:
        distances: (m,) float32, least distance over the looks of each.
        pairs: pairs of people tried.
        accepted: those of them with an attempt that opened.
        opened: how many attempts opened.
        decoded: how many were decoded: all within reach, and some beyond.
    """

    distances: npt.NDArray[np.float32]
    pairs: set[frozenset[str]]
    accepted: set[frozenset[str]]
    opened: int
    decoded: int


def group(data: Embedded, protocol: Protocol, p: ParameterSet, refit: Refit | None = None) -> list[Group]:
    """Draw the trials; with ``refit`` under models that have not seen the people of each fold.

    Raises:
        DatasetError: a folder's name does not suit the protocol, or there are too few people to fit to.
    """
    rng = np.random.default_rng(protocol.seed)
    if refit is None:
        return [Group(p, draw(data, protocol, rng))]
    names, index = np.unique(data.people, return_inverse=True)
    people = np.array([protocol.person(name) for name in names.tolist()], dtype=np.str_)[index]
    sources = refit.sources
    fitted_to = len(np.unique(sources.population.people))
    if fitted_to < _PEOPLE_A_COORDINATE * p.k:
        raise DatasetError(f"{fitted_to} people are too few to fit {p.k} coordinates to", "give a larger --population")
    judged = fitting.Faces(refit.judged, data.units, people)
    folds = [
        (projection, draw(data.of(held_out), protocol, rng))
        for projection, held_out in fitting.refitted(judged, sources, rng, p.k)
    ]
    if sources.population.origin != refit.judged:
        return [Group(replace(p, projection=projection), drawn) for projection, drawn in folds]
    variances = trials.enrolment_variances(
        [
            trials.Fold(projection, [trials.Trial(e.person, e.embedding, e.embedding) for e in drawn.enrolments])
            for projection, drawn in folds
            if drawn.enrolments
        ]
    )
    spread = np.sqrt(variances)
    return [Group(replace(p, projection=projection, spread=spread), drawn) for projection, drawn in folds]


def genuine(groups: Sequence[Group], seed: int, label: str = "Genuine") -> tuple[list[Genuine], list[float]]:
    """Decode all genuine attempts; also milliseconds of each decode."""
    found: list[Genuine] = []
    times: list[float] = []
    with watched(sum(len(group.trials.genuine) for group in groups), label) as step:
        for group in groups:
            # The same draws for every cell: what differs between two runs is then the cell alone.
            lock = Lock(Extractor(group.parameters), np.random.default_rng(seed).bytes)
            for enrolment, attempt in pairs(group.trials):
                enrolled = lock.enrol(enrolment.embedding)
                opened_at = lock.opened_at(enrolled, attempt.looks)
                distance = float(nearest(group.parameters, enrolled.y, attempt))
                found.append(Genuine(enrolment.person, enrolment.session, attempt.session, distance, opened_at))
                step()
            times += lock.decode_ms
    return found, times


def same_session(groups: Sequence[Group], seed: int) -> list[Genuine]:
    """Try other frames of the session of the enrolment: as good as conditions get, and part of no other rate."""
    found = []
    for group in groups:
        lock = Lock(Extractor(group.parameters), np.random.default_rng(seed).bytes)
        for index, attempt in group.trials.same_session:
            enrolment = group.trials.enrolments[index]
            enrolled = lock.enrol(enrolment.embedding)
            distance = float(nearest(group.parameters, enrolled.y, attempt))
            opened_at = lock.opened_at(enrolled, attempt.looks)
            found.append(Genuine(attempt.person, enrolment.session, attempt.session, distance, opened_at))
    return found


def impostors(groups: Sequence[Group], seed: int) -> Impostors:
    """Try every attempt at every other person's enrolment.

    One out of reach cannot be accepted (``lock.reach``), so only those within are decoded, and a sample of the others.
    """
    possible = sum(len(group.trials.attempts) * len(group.trials.enrolments) for group in groups)
    stride = max(1, -(-possible // _MOST))
    groups = [
        replace(group, trials=replace(group.trials, attempts=group.trials.attempts[::stride])) for group in groups
    ]
    total = sum(len(group.trials.attempts) for group in groups)
    rng = np.random.default_rng(seed)
    with watched(total, "Impostors") as step:
        parts = [_impostors(group, rng, DECODED_ANYWAY / max(1, total), step) for group in groups]
    return Impostors(
        distances=np.concatenate([part.distances for part in parts]),
        pairs=set().union(*(part.pairs for part in parts)),
        accepted=set().union(*(part.accepted for part in parts)),
        opened=sum(part.opened for part in parts),
        decoded=sum(part.decoded for part in parts),
    )


def _impostors(group: Group, rng: np.random.Generator, anyway: float, step: Callable[[], None]) -> Impostors:
    """Try one group's; of each attempt's enrolments out of reach, ``anyway`` are decoded on average."""
    p, enrolments = group.parameters, group.trials.enrolments
    lock = Lock(Extractor(p), rng.bytes)
    everyone = np.array([enrolment.person for enrolment in enrolments], dtype=np.str_)
    vectors = p.projection(
        np.array([enrolment.embedding for enrolment in enrolments]).reshape(-1, len(p.projection.mean))
    )
    distances = [np.empty(0, dtype=np.float32)]
    tried: set[frozenset[str]] = set()
    accepted: list[frozenset[str]] = []
    decoded = 0
    for attempt in group.trials.attempts:
        others = np.flatnonzero(everyone != attempt.person)
        apart = nearest(p, vectors[others], attempt)
        distances.append(apart.astype(np.float32))
        tried |= {frozenset((attempt.person, name)) for name in everyone[others].tolist()}
        chosen = (apart <= reach(p)) | (rng.random(len(apart)) * len(apart) < anyway)
        for enrolment in (enrolments[index] for index in others[chosen]):
            decoded += 1
            if lock.opened_at(lock.enrol(enrolment.embedding), attempt.looks) is not None:
                accepted.append(frozenset((attempt.person, enrolment.person)))
        step()
    return Impostors(np.concatenate(distances), tried, set(accepted), len(accepted), decoded)


def at_cells(groups: Sequence[Group], cell: float) -> list[Group]:
    """Return the same trials on a lattice of another cell."""
    return [Group(at_cell(group.parameters, cell), group.trials) for group in groups]


def thinned(group: Group, stride: int) -> Group:
    """Return a group with every so-manieth genuine trial only."""
    return replace(group, trials=replace(group.trials, genuine=group.trials.genuine[::stride]))


def pairs(drawn: Trials) -> Iterator[tuple[Enrolment, Attempt]]:
    """Give each genuine trial."""
    return ((drawn.enrolments[first], drawn.attempts[second]) for first, second in drawn.genuine)


def nearest(p: ParameterSet, vectors: Floats, attempt: Attempt) -> Floats:
    """Least distance (...) of enrolment vectors (..., k) to what the looks that an attempt is decided on let expect."""
    looks = expected(p.projection(attempt.looks), p.spread)
    least: Floats = np.linalg.norm(vectors[..., None, :] - looks, axis=-1).min(axis=-1)
    return least


@contextmanager
def watched(length: int, label: str) -> Iterator[Callable[[], None]]:
    """Show progress on the error stream; yields what is to be called at each step."""
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield lambda: bar.update(1)
