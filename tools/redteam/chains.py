# SPDX-License-Identifier: Apache-2.0
"""A record and what it was before each refresh: same U, same s, and every movement of the sketch in the clear.

c_t - c_0 is round(D U (y_t - y_0)), whatever y is: the difference of two versions needs no search. Each step points
from the sketch to a fresh look, and so tells what the first enrolment held besides the person.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.face.encoder import unit
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.rotation import SEED_BYTES, rotation
from facelatch.l2fe.strength import guesswork_bits
from tools import trials
from tools.decoding import faces
from tools.decoding.tables import Table, watched
from tools.evaluate import stats
from tools.evaluate.refreshing import between_people
from tools.redteam.part import Job, Outcome
from tools.redteam.search import Floats, Leak, Search

# Images in a look; people need an enrolment's worth and a few looks beside it.
_LOOK = 3
_BESIDE = 10
# What of the movement is taken for the enrolment's own noise; the best is chosen on some people, used on others.
_PARTS = np.linspace(0, 1, 21)
_TAUGHT = 1 / 3
# Size and G at which the search is run to its end, before and after.
_SEARCHED = (24, 10.0)


@dataclass(frozen=True)
class Chain:
    """What is carved, and the truth.

    Attributes:
        y: (k,) the first enrolment vector.
        told: (k,) where the attacker takes the looks to lie from it, on average.
        steps: how often the sketch was moved.
    """

    y: Floats
    told: Floats
    steps: int


def follow(job: Job, count: int, noise: float) -> Outcome:
    """Refresh real people's records ``count`` times by the agent's own rule, and read the movement off.

    Args:
        job: what is attacked.
        count: looks that are offered. The agent takes eight between two enrolments, which is told as well.
        noise: variance of a coordinate of an enrolment vector about its person, which tells how long steps were.
    """
    rows, figures = zip(*(_followed(job, steps, noise) for steps in (refresh.MAX_STEPS, count)), strict=True)
    columns = ["looks offered", "steps", "G from the first version", "G from all", "lost (95 %)"]
    columns += [f"median tries at k = {_SEARCHED[0]}, first version", "all versions"]
    bound = _bound(job.parameters)
    title = f"Refreshed records with all their versions; between_people() in tools/evaluate has {bound:.1f} bits lost"
    return Outcome({"looks": figures, "between_people_lost": bound}, [Table(title, columns, list(rows))])


def _followed(job: Job, count: int, noise: float) -> tuple[list[str], dict[str, object]]:
    chains = _chains(job, count, noise)
    taught = chains[: round(_TAUGHT * len(chains))]
    attacked = chains[len(taught) :]
    part = float(min(_PARTS, key=lambda part: _bits(taught, job.parameters, float(part))))
    before, after = _bits(attacked, job.parameters, 0.0), _bits(attacked, job.parameters, part)
    # Rows of known and unknown parts of one person go together.
    rows = np.stack([np.stack([one.y, one.y + part * one.told]) for one in attacked])
    low, high = stats.bootstrap(rows, lambda drawn: _spread_bits(drawn[:, 0]) - _spread_bits(drawn[:, 1]), job.seed)
    tries = _searched(job, attacked, part, few=4 if job.quick else 24)
    steps = float(np.mean([one.steps for one in attacked]))
    lost = f"{before - after:.1f} ({low:.1f} to {high:.1f})"
    row = [str(count), f"{steps:.1f}", f"{before:.1f}", f"{after:.1f}", lost, f"2^{tries[0]:.1f}", f"2^{tries[1]:.1f}"]
    return row, {
        "people": len(attacked),
        "steps": steps,
        "guesswork_bits": (before, after),
        "lost_interval": (low, high),
        "median_tries_log2": tries,
        "part": part,
    }


def _chains(job: Job, count: int, noise: float) -> list[Chain]:
    p, data = job.parameters, job.data
    images = trials.Protocol().enrol
    rng = np.random.default_rng([job.seed, 7])
    found = []
    for projection, held_out in watched(job.folds, "refresh chains"):
        extractor = Extractor(replace(p, projection=projection))
        for name in np.unique(data.people[held_out]):
            rows = rng.permutation(np.flatnonzero(data.people == name))
            if len(rows) >= images + _BESIDE:
                looks = [unit(data.embeddings[rng.choice(rows[images:], _LOOK)].sum(axis=0)) for _ in range(count)]
                found.append(_chain(extractor, unit(data.embeddings[rows[:images]].sum(axis=0)), looks, noise, rng))
    return [found[index] for index in rng.permutation(len(found))]


def _chain(
    extractor: Extractor,
    enrolled: npt.NDArray[np.float32],
    looks: Sequence[npt.NDArray[np.float32]],
    noise: float,
    rng: np.random.Generator,
) -> Chain:
    """Enrol and refresh; then work from the sketches alone, as whoever carved them does."""
    p = extractor.parameters
    point = p.lattice.draw(rng.bytes)
    sketches = [extractor.sketch(enrolled, rng.bytes(SEED_BYTES), point)]
    for look in looks:
        moved = refresh.recentre(extractor, sketches[-1], point, look)
        if moved is not None:
            sketches.append(moved)
    half = p.lattice.modulus // 2
    turned = rotation(sketches[0].seed, p.k)
    path = [((one.c - sketches[0].c + half) % p.lattice.modulus - half) @ turned / p.scale for one in sketches]
    # A step of full length tells only the direction of the look; looks lie about so far away.
    usual = np.sqrt(p.k * noise * (1 + trials.Protocol().enrol / _LOOK))
    away = [
        at + (usual / length if length > refresh.MAX_STEP / 2 else 1 / refresh.WEIGHT) * (to - at)
        for at, to in itertools.pairwise(path)
        if (length := float(np.linalg.norm(to - at))) > 0
    ]
    told: Floats = np.mean(away, axis=0) if away else np.zeros(p.k)
    return Chain(extractor.project(enrolled), told, len(path) - 1)


def _bits(chains: list[Chain], p: ParameterSet, part: float) -> float:
    """Estimate G of y once ``part`` of the movement is taken off it."""
    known = np.array([one.y + part * one.told for one in chains])
    return guesswork_bits(known.var(axis=0), p.cell)


def _spread_bits(rows: Floats) -> float:
    """Entropy in bits but for a constant; people drawn again may all be one, so a variance is never quite zero."""
    return float(0.5 * np.log2(np.maximum(rows.var(axis=0), 1e-9)).sum())


def _bound(p: ParameterSet) -> float:
    return guesswork_bits(p.spread**2, p.cell) - between_people(p)


def _searched(job: Job, chains: list[Chain], part: float, few: int) -> tuple[float, float]:
    """Run the search on the first coordinates, without and with the movement; median log2 of the tries."""
    p = job.parameters
    k, guesswork = _SEARCHED
    basis = p.lattice.basis
    rng = np.random.default_rng([job.seed, 8])
    vectors = [np.array([(one.y + taken * one.told)[:k] for one in chains]) for taken in (0.0, part)]
    spreads = [one.std(axis=0) for one in vectors]
    cell = 2 ** ((guesswork_bits(spreads[0] ** 2, 1.0) - guesswork) / k)
    side = float(np.exp(np.linalg.slogdet(basis.astype(np.float64))[1] / k))
    scale = side / cell
    tries: tuple[list[float], list[float]] = ([], [])
    for index in watched(range(min(few, len(chains))), "search after refreshes"):
        turned = faces.rotation(k, rng)
        for known, spread, found in zip(vectors, spreads, tries, strict=True):
            w = np.rint(scale * (turned @ known[index])).astype(np.int64)
            leak = Leak(w, turned, scale, spread)
            found.append(np.log2(1 + Search(basis, leak).ahead(float(np.linalg.norm(leak.whitening @ w))).points))
    return float(np.median(tries[0])), float(np.median(tries[1]))
