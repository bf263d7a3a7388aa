# SPDX-License-Identifier: Apache-2.0
"""How near two enrolments must be for a joint search, and what linking costs beside a search: run, or by formula."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass

import numpy as np

from facelatch.l2fe import keys
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.strength import guesswork_bits
from tools.decoding.tables import Table, watched
from tools.redteam import enrolments, joint
from tools.redteam.joint import Joint
from tools.redteam.part import Job

# Deviations of a coordinate between two enrolment vectors that the joint search is tried at.
_APART = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)
# A point is the true one if it is so near: rounding of the whitened basis leaves less.
SAME = 1e-3


@dataclass(frozen=True)
class Effort:
    """How much is run.

    Attributes:
        people: pairs of each kind, at most.
        listed: points of one record that are listed.
        beams: budgets of the K-best joint search.
        sizes: k at which it is run; the shipped one is the last.
        finished: pairs at the smallest size on which the joint search is run to its end.
        block: of the reduction; larger ones take minutes at 2 k = 144 and gain little.
        near: k at which a second record of the same y is tried.
        apart: pairs at each distance.
        refreshes: in a chain.
    """

    people: int
    listed: int
    beams: tuple[int, ...]
    sizes: tuple[int, ...]
    finished: int
    apart: int
    block: int
    near: int
    refreshes: int = 30


def distances(job: Job, effort: Effort, rng: np.random.Generator) -> tuple[Table, list[dict[str, float]]]:
    """Tell at which distance of two y the shipped k gives way to what is run here, and what the formulas say."""
    k = job.parameters.k
    beam = effort.beams[-1]
    found: list[dict[str, float]] = []
    for apart in watched(_APART[-1:] if job.quick else _APART, f"distance of two enrolments, 2 k = {2 * k}"):
        start = time.perf_counter()
        share, volume = found_at(job, k, apart, effort, beam, rng)
        guess = joint.estimate(2 * k, volume)
        found.append(
            {
                "deviation": apart,
                "distance": apart * math.sqrt(k),
                "found": share,
                "seconds_a_pair": (time.perf_counter() - start),
                "block": guess.block or 2 * k,
                "enumeration_log2": guess.enumeration,
                "sieve_log2": guess.sieve,
            }
        )
    rows = [
        [
            f"{row['deviation']:g}",
            f"{row['distance']:.1f}",
            f"{row['found']:.0%}",
            f"{row['seconds_a_pair']:.0f}",
            f"{row['block']:.0f}",
            f"{row['enumeration_log2']:.0f}",
            f"{row['sieve_log2']:.0f}",
        ]
        for row in found
    ]
    columns = ["deviation of a coordinate", "distance of the two y", f"both faces found by a beam of {beam}"]
    columns += [f"s for the reduction and {effort.apart} pairs", "block size that is estimated to find it"]
    columns += ["log2 of partial points to enumerate one block", "log2 of operations to sieve one"]
    return Table(f"How near two enrolments must be: made-up people, shipped k = {k}", columns, rows), found


def found_at(
    job: Job, k: int, apart: float, effort: Effort, beam: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Share of made-up pairs that lie so far apart and are found jointly, and log2 of the joint cell's volume."""
    p, lattice, spread = job.parameters, enrolments.shipped(job, k), job.parameters.spread[:k]
    # Rounding of w is noise as well.
    noise = apart**2 / 2 + 1 / (12 * p.scale**2)
    turned = enrolments.rotations(2, k, rng)
    map_ = joint.whitening(turned, p.scale, spread, noise)
    count = effort.apart
    people = spread * rng.normal(size=(count, 1, k)) + apart / math.sqrt(2) * rng.normal(size=(count, 2, k))
    hidden = enrolments.hidden(people, lattice, p.scale, turned, rng)
    own = Joint(lattice.basis, map_, effort.block).nearest(
        np.array([np.concatenate([r.c for r in pair]) for pair in hidden]), beam
    )
    truth = np.array([np.concatenate([r.w for r in pair]) for pair in hidden]) @ map_.T
    hit = np.abs(own - truth).max(axis=1) < SAME
    return float(hit.mean()), joint.log2_volume(lattice.basis, map_)


def costs(job: Job, noise: float, rate: float) -> tuple[Table, dict[str, object]]:
    """Lay the attacks' costs side by side at the shipped k, in bits; ``rate`` is of partial points a second."""
    p, k = job.parameters, job.parameters.k
    start = time.perf_counter()
    keys.stretch(b"guess", pepper=bytes(32), binding=(b"",), salt=secrets.token_bytes(16), cost=p.argon2id)
    guess = time.perf_counter() - start
    search = guesswork_bits(p.spread**2, p.cell)
    decode = _decode_seconds(job)
    saved = math.log2(guess / decode)
    rng = np.random.default_rng([job.seed, 6])
    lattice = enrolments.shipped(job, k)
    records: dict[str, dict[str, float]] = {}
    for count in (2, 3):
        map_ = joint.whitening(enrolments.rotations(count, k, rng), p.scale, p.spread, noise)
        volume = joint.log2_volume(lattice.basis, map_)
        guessed = joint.estimate(count * k, volume)
        records[str(count)] = {
            "ambiguity_log2": joint.ambiguity(count * k, volume),
            "block": guessed.block or count * k,
            "enumeration_log2": guessed.enumeration,
            "sieve_log2": guessed.sieve,
        }
    rows = [
        ["search of one record", f"2^{search:.1f} Argon2id runs of {guess:.2f} s", f"{search:.1f}"],
        ["two records, by listing", f"2^{search:.1f} decodes of {1e3 * decode:.2f} ms", f"{search - saved:.1f}"],
    ]
    for number, one in records.items():
        work = f"blocks of {one['block']:.0f}: 2^{one['enumeration_log2']:.0f} partial points, "
        work += f"or a sieve of 2^{one['sieve_log2']:.0f} operations; false pairs: 2^{one['ambiguity_log2']:.0f}"
        name = f"{number} records as one lattice, estimate"
        rows.append([name, work, f"{one['enumeration_log2'] - math.log2(rate * guess):.1f}"])
    cost = {
        "search_argon2id_runs": search,
        "listing_decodes": search,
        "listing_in_argon2id_runs": search - saved,
        "argon2id_seconds": guess,
        "decode_seconds": decode,
        "partial_points_a_second": rate,
        "joint": records,
    }
    title = f"What linking costs at the shipped set, k = {k}"
    return Table(title, ["attack", "cost", "log2 of it, in Argon2id runs' time"], rows), cost


def _decode_seconds(job: Job) -> float:
    """Time of one decode among many, by the agent's own decoder."""
    p = job.parameters
    decode = Decoder(p.lattice.basis, p.beam, p.lattice.copies)
    targets = np.random.default_rng(job.seed).uniform(0, p.lattice.modulus, (4 if job.quick else 64, p.k))
    start = time.perf_counter()
    decode(targets, math.inf, 1)
    return (time.perf_counter() - start) / len(targets)
