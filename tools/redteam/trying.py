# SPDX-License-Identifier: Apache-2.0
"""How many guesses come before the true one, for any belief of the attacker's and any number of guesses."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools.decoding.tables import watched
from tools.redteam import beliefs, counting, lattices, ranks
from tools.redteam.beliefs import Belief, Floats, Gaussian
from tools.redteam.counting import Coset
from tools.redteam.records import Population
from tools.redteam.search import Ahead, Integers, Leak, Search

# Starting another process takes as long as this many records.
_FEW = 8
# A beam that lists: partial points kept. It is to find the few points ahead of the true one where they are few.
LIST_BEAM = 1 << 14
# Two distances of one point, but for rounding.
_SAME = 1e-7
# Parts of a belief that promise less than this share of the points of the largest are not sampled.
_SLIGHT = 1 / 128


@dataclass(frozen=True)
class Target:
    """A record to be made and attacked.

    Attributes:
        y: (k,) the enrolment vector, which the attacker does not know.
        belief: what the attacker does.
        cell: v.
        seed: of the record.
    """

    y: Floats
    belief: Belief
    cell: float
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Rank:
    """What one record costs.

    Attributes:
        tries: log2 of the guesses up to the true one, counted by sampling.
        expected: log2 of the points that the volume promises before it.
        nodes: log2 of the partial points that listing them visits.
        error: deviation of the count, by that of its descents, as a share of it.
        listed: log2 of the guesses, counted by listing them, where that was asked for.
        beamed: whether a beam found the true point, where listing was asked for.
    """

    tries: float
    expected: float
    nodes: float
    error: float
    listed: Ahead | None = None
    beamed: bool | None = None


def rank(target: Target) -> Rank:
    """Make the record on Leech lattices and count the guesses before the true one by sampling."""
    return _Attack(target).rank()


def listed(target: Target) -> Rank:
    """Do the same, and list them too, by enumeration and by a beam; the belief is to have one part."""
    attack = _Attack(target)
    return replace(attack.rank(), listed=attack.listed(), beamed=attack.beamed())


def ranked(targets: Sequence[Target], label: str, work: Callable[[Target], Rank] = rank) -> list[Rank]:
    """Attack each, on all cores, under a progress bar."""
    if len(targets) < _FEW or (os.cpu_count() or 1) == 1:
        return [work(target) for target in watched(targets, label)]
    # As for embedding: workers start afresh.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        results = pool.imap(work, targets, chunksize=2)
        return [next(results) for _ in watched(targets, label)]


class _Attack:
    """The record made, and the cosets of each part of the belief."""

    def __init__(self, target: Target) -> None:
        k = len(target.y)
        self._target = target
        self._lattice = lattices.leeches(k)
        one = Population("one", target.y[None], np.ones(k))
        self._leak, _ = ranks.record(self._lattice, one, 0, target.cell, target.seed)
        self._back: Floats = self._leak.rotation.T / self._leak.scale
        # What the record holds is y rounded.
        self._y: Floats = self._back @ np.rint(self._leak.scale * (self._leak.rotation @ target.y))
        self._reached = beliefs.reaches(target.belief, self._y)

    def rank(self) -> Rank:
        target = self._target
        rng = np.random.default_rng([*target.seed, 1])
        counts, nodes = np.zeros(counting.DESCENTS), np.zeros(counting.DESCENTS)
        promised = beliefs.part_bits(target.belief, self._reached, target.cell)
        for part, reach, bits in zip(target.belief, self._reached, promised, strict=True):
            if 2.0 ** (bits - max(promised)) < _SLIGHT:
                # Too few to matter are taken at their volume.
                counts += 2.0**bits
                continue
            coset, unwhitened = self._coset(part), np.linalg.inv(part.whitening).T
            for descent in range(counting.DESCENTS):
                sample = coset.sample(reach, rng)
                nodes[descent] += sample.nodes
                vectors = sample.residuals @ unwhitened + part.mean
                counts[descent] += beliefs.joined(target.belief, self._reached, vectors, sample.weights)
        mean = float(counts.mean())
        return Rank(
            tries=math.log2(1 + mean),
            expected=beliefs.expected_bits(target.belief, target.y, target.cell),
            nodes=math.log2(max(float(nodes.mean()), 1.0)),
            error=float(counts.std(ddof=1) / math.sqrt(len(counts)) / mean) if mean else 0.0,
        )

    def listed(self) -> Ahead:
        (part,) = self._target.belief
        # Listing knows of a spread about zero alone.
        leak = replace(self._leak, spread=1 / np.diag(part.whitening))
        return Search(self._lattice.basis, leak).ahead(self._reached[0])

    def beamed(self) -> bool:
        (part,) = self._target.belief
        found = self._coset(part).nearest(self._reached[0], LIST_BEAM)
        return len(found) > 0 and math.isclose(np.linalg.norm(found[-1]), self._reached[0], rel_tol=_SAME)

    def _coset(self, part: Gaussian) -> Coset:
        return coset(self._leak, self._lattice.basis, part)


def coset(leak: Leak, basis: Integers, part: Gaussian) -> Coset:
    """Return the guesses at one record, in the coordinates in which the likelier ones are the shorter."""
    back = leak.rotation.T / leak.scale
    near = lattices.short(leak.c, basis)
    return Coset(basis @ (part.whitening @ back).T, part.whitening @ (back @ near - part.mean))
