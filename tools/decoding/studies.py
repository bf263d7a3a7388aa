# SPDX-License-Identifier: Apache-2.0
"""The shipped decoder's errors, its distance to exhaustive decoding, and its time; each study is a table."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.decoder import CHILDREN, Decoder
from facelatch.l2fe.parameters import ParameterSet
from tools import bases
from tools.decoding import faces, noise, timing
from tools.decoding.faces import Sample
from tools.decoding.noise import Floats, bits, decibels
from tools.decoding.tables import Table, watched

Rows = npt.NDArray[np.int64]

ERROR = 0.05
LEVELS = (0.14, 0.16, 0.18, 0.20, 0.22)
BEAMS = (1, 16, 64, 128, 256, 512, 1024)
ALL_CHILDREN = (2, 3, 4, 6)


def side(p: ParameterSet) -> float:
    """Side of the set's cell in lattice units."""
    return p.lattice.side


def shipped(p: ParameterSet, beam: int | None = None) -> Decoder:
    """Return the set's decoder, or one on its lattice with another beam."""
    return Decoder(p.lattice.basis, beam or p.beam, p.lattice.copies)


def level(borne: Floats, error: float = ERROR) -> float:
    """Noise at which a share ``error`` of directions is no longer removed."""
    return float(np.quantile(borne, error))


def decoders(p: ParameterSet) -> list[tuple[int, int]]:
    """Beams and children to try: every beam with the shipped children, two beams with every number of them."""
    rows = [(beam, CHILDREN) for beam in BEAMS]
    return rows + [(beam, count) for beam in sorted({128, p.beam}) for count in ALL_CHILDREN if count != CHILDREN]


def errors(p: ParameterSet, sample: Sample) -> Table:
    """Errors by noise level, and how many are the decoder's own."""
    rows = []
    for beam, count in watched(decoders(p), "errors"):
        row = [str(beam), str(count)]
        with noise.children(count):
            for sigma in LEVELS:
                found = noise.split(shipped(p, beam), sample.directions * sigma * side(p))
                row.append(f"{np.mean(found.nearer | found.farther):.2%} ({np.mean(found.farther):.2%})")
        rows.append(row)
        bound = [f"{noise.sphere_bound(sigma, p.k):.2%}" for sigma in LEVELS]
    rows.append(["sphere bound", "", *bound])
    title = f"Errors at noise sigma / v, {len(sample.directions)} targets; in brackets the decoder's own misses"
    return Table(title, ["beam", "children", *(f"{sigma:.2f}" for sigma in LEVELS)], rows)


def gap(p: ParameterSet, sample: Sample) -> Table:
    """Noise borne at 5 % errors by each beam, against exhaustive search and the sphere bound."""
    best = noise.borne(noise.every(bases.exhaustive(p.lattice.basis, side(p)), p.lattice.copies), sample.directions)
    bound = noise.sphere_level(ERROR, p.k)
    rows = []
    for beam, count in watched(decoders(p), "gap"):
        with noise.children(count):
            own = noise.borne(noise.removal(shipped(p, beam), side(p)), sample.directions)
        ratios = against(own, best, sample.owners)
        spans = (span(map(decibels, ratios)), span(bits(ratio, p.k) for ratio in ratios))
        rows.append([str(beam), str(count), f"{level(own):.4f}", *spans])
    rows.append(["exhaustive", "", f"{level(best):.4f}", "0", "0"])
    ratio = level(best) / bound
    rows.append(["sphere bound", "", f"{bound:.4f}", f"{decibels(ratio):+.2f}", f"{bits(ratio, p.k):+.2f}"])
    columns = ["beam", "children", "sigma / v at 5 % errors", "dB short of exhaustive (95 %)", "bits lost (95 %)"]
    return Table("Distance to exhaustive decoding of the same lattice, spherical Gaussian noise", columns, rows)


def against(own: Floats, best: Floats, owners: Rows) -> tuple[float, float, float]:
    """How many times less noise is borne than by the best, with its 95 % interval."""

    def ratio(rows: Rows) -> float:
        return level(best[rows]) / level(own[rows])

    return ratio(np.arange(len(own))), *faces.interval(owners, ratio, seed=5)


def span(values: Iterable[float]) -> str:
    """Write a figure and its interval."""
    middle, low, high = values
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"


def times(p: ParameterSet) -> Table:
    """Milliseconds of a decode."""
    rows = []
    for beam in watched(BEAMS, "times"):
        clocked = timing.clock(shipped(p, beam), p.k, side(p), lambda users: p.radius(users) / p.cell)
        rows += [[str(beam), *row] for row in clocked]
        columns = ["beam", "targets", *(f"{users} users" for users in timing.USERS)]
    return Table("Processor milliseconds of one decode within the radius among so many users, median", columns, rows)
