# SPDX-License-Identifier: Apache-2.0
"""Linking: what several records of one person tell together, with every device key leaked, and what that costs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.strength import guesswork_bits
from tools.decoding.tables import Table, watched
from tools.evaluate.stats import clopper_pearson
from tools.redteam import chains, enrolments, joint, lattices, linking_costs, remnants
from tools.redteam.joint import Joint, Together
from tools.redteam.linking_costs import SAME, Effort
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.search import Floats, Search
from tools.redteam.unlinkability import Linkage, linkage

# Of the people with two enrolments, so many teach the attacker how far two of one person lie apart.
_TAUGHT = 1 / 3
# Listing is run to its end at this k and G, and this many points of one record are listed.
_LISTED = (24, 8.0)
# Share of the joint ball that is enumerated: where it is found, half of the work has been done on average.
_SHARE = 0.5


_FULL = Effort(
    people=60,
    listed=1024,
    beams=(1, 1 << 8, 1 << 12),
    sizes=(24, 48),
    finished=12,
    apart=16,
    block=30,
    near=72,
)
_QUICK = Effort(people=12, listed=64, beams=(1, 16), sizes=(24,), finished=1, apart=2, block=20, near=24)


@dataclass(frozen=True)
class Victims:
    """Whom the attack is run on.

    Attributes:
        pairs: (m, r, k) enrolment vectors.
        noise: variance of a coordinate of one about its person, learnt from other people.
    """

    pairs: Floats
    noise: float

    def cut(self, k: int) -> Victims:
        """Keep the first k coordinates, which vary most."""
        return replace(self, pairs=self.pairs[..., :k])

    @property
    def strangers(self) -> Floats:
        """(m, r, k): each first enrolment beside the second of somebody else."""
        moved = [np.roll(self.pairs[:, number], number, axis=0) for number in range(self.pairs.shape[1])]
        return np.stack(moved, axis=1)


def attack(job: Job) -> Outcome:
    """Link records by listing and by joint search; follow refreshes; carve a file system."""
    effort = _QUICK if job.quick else _FULL
    p = job.parameters
    rng = np.random.default_rng([job.seed, 5])
    victims = _victims(enrolments.several(job, 2), effort.people)
    sizes = (*effort.sizes, p.k)
    listing, listed = _by_listing(job, victims, effort, rng)
    joined = [_jointly(job, victims, k, effort, rng) for k in sizes]
    ended, finished = _to_the_end(job, victims, effort, rng)
    distances, apart = linking_costs.distances(job, effort, rng)
    each = joined[-1][1]["seconds_a_partial_point"]
    costs, cost = linking_costs.costs(job, victims.noise, enrolments.several(job, 3), effort, each)
    chain = chains.follow(job, effort.refreshes, victims.noise)
    card = remnants.carve(job, effort.refreshes, victims.pairs[:, 0])
    controls = [*_controls(job, victims, effort, rng), *chain.controls, *card.controls]
    figures = {
        "cost_log2": cost,
        "d_sys_at_budget": {
            "listing": listed["d_sys"],
            **{f"joint_k{k}": found["beams"] for k, (_, found) in zip(sizes, joined, strict=True)},
        },
        "pairs": len(victims.pairs),
        "noise": victims.noise,
        "listing": listed,
        "joint": {f"k{k}": found for k, (_, found) in zip(sizes, joined, strict=True)},
        "joint_to_the_end": finished,
        "distance": apart,
        "chain": chain.figures,
        "remnants": card.figures,
    }
    tables = [listing, *(table for table, _ in joined), ended, distances, costs, *chain.tables, *card.tables]
    said = [
        "Whoever holds two of a person's records and both device keys need not guess against Argon2id: each record "
        "tells whether a guess at the other was right.",
        *chain.said,
        *card.said,
    ]
    return Outcome(figures, tables, controls, said)


def _victims(found: Floats, most: int) -> Victims:
    """Split people: some teach how far two enrolments of one person lie apart, others are attacked."""
    taught = round(_TAUGHT * len(found))
    noise = float(np.mean((found[:taught, 0] - found[:taught, 1]) ** 2)) / 2
    return Victims(found[taught:][:most], noise)


def _by_listing(
    job: Job, victims: Victims, effort: Effort, rng: np.random.Generator
) -> tuple[Table, dict[str, object]]:
    """List the likeliest points of one record, and decode the second at each: no Argon2id run."""
    k, guesswork = _LISTED
    lattice, spread, few = enrolments.shipped(job, k), job.parameters.spread[:k], victims.cut(k)
    cell = 2 ** ((guesswork_bits(spread**2, 1.0) - guesswork) / k)
    scale = lattice.side / cell
    turned = enrolments.rotations(2, k, rng)
    one = Joint(lattice.basis, joint.whitening(turned[:1], scale, spread, few.noise), k)
    both = joint.whitening(turned, scale, spread, few.noise)
    decode = Decoder(job.parameters.lattice.basis, job.parameters.beam)
    budgets = [1 << bits for bits in range(0, effort.listed.bit_length(), 2)]
    spent = 0.0

    def score(pair: Floats) -> tuple[Floats, int]:
        """Best joint distance after so many points, (budgets,), and the true point's place in the list."""
        nonlocal spent
        first, second = (enrolments.hide(y, lattice.basis, scale, u, rng) for y, u in zip(pair, turned, strict=True))
        start = time.perf_counter()
        likely = one.listed(first.c[None], effort.listed, effort.listed)[0] * spread
        found = [row[0].point for row in decode(second.c - scale * likely @ turned[1].T, math.inf, 1)]
        ends = np.concatenate([scale * likely @ turned[0].T, second.c - np.stack(found)], axis=1) @ both.T
        distances = np.minimum.accumulate(np.linalg.norm(ends, axis=1))
        spent += time.perf_counter() - start
        true = both @ np.concatenate([first.w, second.w])
        hits = np.flatnonzero(np.abs(ends - true).max(axis=1) < SAME)
        best = distances[[budget - 1 for budget in budgets]]
        # Linked and opened: of all pairs found the true one is the likeliest.
        opened = len(hits) > 0 and distances[-1] > np.linalg.norm(true) - SAME
        return -best, int(hits[0]) + 1 if opened else 0

    mated, places = zip(*(score(pair) for pair in watched(list(few.pairs), "listing, one person")), strict=True)
    others = [score(pair)[0] for pair in watched(list(few.strangers), "listing, two people")]
    place = np.array(places)
    found = [linkage(*_columns(mated, others, column), seed=job.seed) for column in range(len(budgets))]
    opened = [float(np.mean((place > 0) & (place <= budget))) for budget in budgets]
    each = spent / (2 * len(place) * effort.listed)
    title = f"Listing one record and decoding another, k = {k}, G = {guesswork:g}, {len(place)} pairs of each kind"
    rows = [
        [f"2^{budget.bit_length() - 1}", _told(d), f"{share:.0%}"]
        for budget, d, share in zip(budgets, found, opened, strict=True)
    ]
    table = Table(title, ["points listed", "D_sys (by chance)", "both faces found, without Argon2id"], rows)
    figures: dict[str, object] = {
        "k": k,
        "guesswork_bits": guesswork,
        "seconds_a_point": each,
        "d_sys": _by_budget(budgets, found),
        "opened": dict(zip(map(str, budgets), opened, strict=True)),
    }
    return table, figures


def _share(hit: npt.NDArray[np.bool_]) -> str:
    low, high = clopper_pearson(int(hit.sum()), len(hit))
    return f"{hit.mean():.0%} ({low:.0%} to {high:.0%})"


def _columns(mated: Sequence[Floats], others: Sequence[Floats], column: int) -> tuple[Floats, Floats]:
    return np.array([row[column] for row in mated]), np.array([row[column] for row in others])


def _by_budget(budgets: Sequence[int], found: Sequence[Linkage]) -> dict[str, dict[str, float]]:
    return {str(b): {"d_sys": one.d_sys, "by_chance": one.by_chance} for b, one in zip(budgets, found, strict=True)}


def _told(found: Linkage) -> str:
    return f"{found.d_sys:.2f} ({found.by_chance:.2f})"


def _jointly(
    job: Job, victims: Victims, k: int, effort: Effort, rng: np.random.Generator
) -> tuple[Table, dict[str, Any]]:
    """Search two records as one lattice, K-best, at the shipped cell.

    One pair of rotations serves for all: each attacker would reduce once a pair of records.
    """
    lattice, p, few = enrolments.shipped(job, k), job.parameters, victims.cut(k)
    turned = enrolments.rotations(2, k, rng)
    map_ = joint.whitening(turned, p.scale, p.spread[:k], few.noise)
    start = time.perf_counter()
    attack = Joint(lattice.basis, map_, effort.block)
    took = time.perf_counter() - start
    kinds = [enrolments.hidden(pairs, lattice, p.scale, turned, rng) for pairs in (few.pairs, few.strangers)]
    sketches = [np.array([np.concatenate([r.c for r in pair]) for pair in kind]) for kind in kinds]
    truth = np.array([np.concatenate([r.w for r in pair]) for pair in kinds[0]]) @ map_.T
    needed = attack.needed(truth)
    rows, found, shares = [], [], []
    for beam in watched(effort.beams, f"joint search, 2 k = {2 * k}"):
        start = time.perf_counter()
        own, others = (attack.nearest(kind, beam) for kind in sketches)
        each = (time.perf_counter() - start) / (2 * len(truth))
        hit = np.abs(own - truth).max(axis=1) < SAME
        one = linkage(-np.linalg.norm(own, axis=1), -np.linalg.norm(others, axis=1), job.seed)
        found.append(one)
        shares.append(float(hit.mean()))
        survive = float(np.mean(needed <= math.log2(beam)))
        rows.append([f"2^{beam.bit_length() - 1}", f"{each:.2f}", _told(one), _share(hit), f"{survive:.0%}"])
    title = f"Two records as one lattice, 2 k = {2 * k}, {len(truth)} pairs of each kind; reduced in {took:.1f} s; "
    title += f"beam needed, by estimate: median 2^{np.median(needed):.1f}, p5 2^{np.quantile(needed, 0.05):.1f}"
    columns = ["beam", "s a pair", "D_sys (by chance)", "both faces found (95 %)", "by estimate"]
    figures: dict[str, Any] = {
        "beams": _by_budget(effort.beams, found),
        "found": dict(zip(map(str, effort.beams), shares, strict=True)),
        "beam_needed_log2": {"median": float(np.median(needed)), "p5": float(np.quantile(needed, 0.05))},
        "seconds_a_partial_point": each / (2 * k * beam),
    }
    return Table(title, columns, rows), figures


def _to_the_end(
    job: Job, victims: Victims, effort: Effort, rng: np.random.Generator
) -> tuple[Table, list[dict[str, float]]]:
    """Enumerate the joint ball up to the true pair, at the smallest k."""
    k, p = effort.sizes[0], job.parameters
    lattice, few = enrolments.shipped(job, k), victims.cut(k)
    found: list[dict[str, float]] = []
    for pair in watched(list(few.pairs[: effort.finished]), f"joint search to its end, 2 k = {2 * k}"):
        turned = enrolments.rotations(2, k, rng)
        map_ = joint.whitening(turned, p.scale, p.spread[:k], few.noise)
        (records,) = enrolments.hidden(pair[None], lattice, p.scale, turned, rng)
        together = Together(np.concatenate([r.c for r in records]), map_)
        reach = float(np.linalg.norm(map_ @ np.concatenate([r.w for r in records])))
        start = time.perf_counter()
        ahead = Search(np.kron(np.eye(2, dtype=np.int64), lattice.basis), together).ahead(reach, (_SHARE,))
        found.append(
            {
                "distance": float(np.linalg.norm(pair[0] - pair[1])),
                "false_pairs_ahead": ahead.points,
                "nodes_log2": math.log2(max(ahead.nodes, 1) / ahead.share),
                "seconds": time.perf_counter() - start,
            }
        )
    rows = [
        [
            f"{row['distance']:.1f}",
            f"{row['false_pairs_ahead']:.0f}",
            f"{row['nodes_log2']:.1f}",
            f"{row['seconds']:.1f}",
        ]
        for row in found
    ]
    columns = ["distance of the two y", "false pairs ahead", "log2 of partial points, whole ball", "s, half of it"]
    bits = guesswork_bits(p.spread[:k] ** 2, p.cell)
    return Table(
        f"Two records as one lattice, to the end, k = {k}, where one gives G = {bits:.1f}", columns, rows
    ), found


def _controls(job: Job, victims: Victims, effort: Effort, rng: np.random.Generator) -> list[Control]:
    """Weaken the records: no rotation, and a fresh rotation of the same y."""
    d_sys = one_rotation(job, victims, rng)
    share, _ = linking_costs.found_at(job, effort.near, 0.0, effort, 16, rng)
    return [
        Control(f"U = identity: records of one person are linked by one decode (D_sys {d_sys:.2f})", d_sys > 0.9),
        Control(f"a refresh under a fresh U of the same y: both faces found at once ({share:.0%})", share > 0.9),
    ]


def one_rotation(job: Job, victims: Victims, rng: np.random.Generator) -> float:
    """D_sys where all records share one rotation: c_1 - c_2 is then a lattice point plus what separates two looks."""
    p, k = job.parameters, job.parameters.k
    lattice, same = enrolments.shipped(job, k), [np.eye(k)] * 2
    decode = Decoder(p.lattice.basis, p.beam, p.lattice.copies)
    scores = []
    for pairs in (victims.pairs, victims.strangers):
        hidden = enrolments.hidden(pairs, lattice, p.scale, same, rng)
        near = lattices.short(np.array([first.c - second.c for first, second in hidden]), lattice.basis)
        scores.append(-np.array([row[0].distance for row in decode(near.astype(np.float64), math.inf, 1)]))
    return linkage(scores[0], scores[1], job.seed).d_sys
