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
from tools.redteam.search import Floats

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
    """Tell what beam the shipped k asks for, by the distance of two y."""
    k, beam = job.parameters.k, effort.beams[len(effort.beams) // 2]
    found: list[dict[str, float]] = []
    for apart in watched(_APART[-1:] if job.quick else _APART, f"distance of two enrolments, 2 k = {2 * k}"):
        share, needed = found_at(job, k, apart, effort, beam, rng)
        found.append({"deviation": apart, "distance": apart * math.sqrt(k), "found": share, "beam_needed_log2": needed})
    rows = [
        [f"{row['deviation']:g}", f"{row['distance']:.1f}", f"{row['found']:.0%}", f"2^{row['beam_needed_log2']:.1f}"]
        for row in found
    ]
    columns = ["deviation of a coordinate", "distance of the two y", f"both faces found by a beam of {beam}"]
    columns += ["median beam needed, by estimate"]
    title = f"How near two enrolments are: {effort.apart} made-up pairs each, shipped k = {k}"
    return Table(title, columns, rows), found


def found_at(
    job: Job, k: int, apart: float, effort: Effort, beam: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Share of made-up pairs that lie so far apart and are found jointly, and the log2 of the median beam needed."""
    p, lattice, spread = job.parameters, enrolments.shipped(job, k), job.parameters.spread[:k]
    # Rounding of w is noise as well.
    noise = apart**2 / 2 + 1 / (12 * p.scale**2)
    turned = enrolments.rotations(2, k, rng)
    map_ = joint.whitening(turned, p.scale, spread, noise)
    count = effort.apart
    people = spread * rng.normal(size=(count, 1, k)) + apart / math.sqrt(2) * rng.normal(size=(count, 2, k))
    hidden = enrolments.hidden(people, lattice, p.scale, turned, rng)
    attack = Joint(lattice.basis, map_, effort.block)
    own = attack.nearest(np.array([np.concatenate([r.c for r in pair]) for pair in hidden]), beam)
    truth = np.array([np.concatenate([r.w for r in pair]) for pair in hidden]) @ map_.T
    hit = np.abs(own - truth).max(axis=1) < SAME
    return float(hit.mean()), float(np.median(attack.needed(truth)))


def costs(job: Job, noise: float, people: Floats, effort: Effort, each: float) -> tuple[Table, dict[str, object]]:
    """Lay the attacks' costs side by side at the shipped k, in bits.

    Args:
        job: what is attacked.
        noise: variance of a coordinate of an enrolment vector about its person.
        people: (m, 3, k) three enrolments each; two records take the first two.
        effort: how much is run.
        each: seconds for a partial point of the joint search.
    """
    p, k = job.parameters, job.parameters.k
    start = time.perf_counter()
    keys.stretch(b"guess", pepper=bytes(32), binding=(b"",), salt=secrets.token_bytes(16), cost=p.argon2id)
    guess = time.perf_counter() - start
    search = guesswork_bits(p.spread**2, p.cell)
    decode = _decode_seconds(job)
    listing = search + math.log2(decode / guess)
    rng = np.random.default_rng([job.seed, 6])
    lattice = enrolments.shipped(job, k)
    rows = [
        ["search of one record", f"2^{search:.1f} Argon2id runs of {guess:.2f} s", f"{search:.1f}"],
        ["two records, by listing one", f"2^{search:.1f} decodes of {1e3 * decode:.2f} ms", f"{listing:.1f}"],
    ]
    records: dict[str, dict[str, float]] = {}
    for count in (2,) if job.quick else (2, 3):
        turned = enrolments.rotations(count, k, rng)
        map_ = joint.whitening(turned, p.scale, p.spread, noise)
        w = p.scale * np.concatenate([people[:, number] @ u.T for number, u in enumerate(turned)], axis=1)
        needed = Joint(lattice.basis, map_, effort.block).needed(w @ map_.T)
        points = np.log2(count * k) + needed
        middle, low = float(np.median(points)), float(np.quantile(points, 0.05))
        left = joint.ambiguity(count * k, joint.log2_volume(lattice.basis, map_))
        seconds = math.log2(each / guess)
        records[str(count)] = {
            "ambiguity_log2": left,
            "partial_points_log2": middle,
            "partial_points_p5_log2": low,
            "in_argon2id_runs": middle + seconds,
        }
        work = f"2^{middle:.1f} partial points (p5 2^{low:.1f}) by estimate, as likely pairs beside the true one: "
        name = f"{count} records as one lattice"
        rows.append([name, work + f"2^{left:.0f}", f"{middle + seconds:.1f} (p5 {low + seconds:.1f})"])
    # Their difference is known at once, and with it half of the first one's noise; no guess at either is confirmed.
    one_u = guesswork_bits(np.maximum(p.spread**2 - noise / 2, np.finfo(np.float64).tiny), p.cell)
    rows.append(["2 records under one U", f"linked by one decode; then 2^{one_u:.1f} Argon2id runs", f"{one_u:.1f}"])
    cost: dict[str, object] = {
        "search_argon2id_runs": search,
        "one_rotation_argon2id_runs": one_u,
        "listing_decodes": search,
        "listing_in_argon2id_runs": listing,
        "argon2id_seconds": guess,
        "decode_seconds": decode,
        "partial_point_seconds": each,
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
