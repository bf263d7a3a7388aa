# SPDX-License-Identifier: Apache-2.0
"""Guesswork against false rejects: a smaller cell hides an enrolment among more points, and opens less often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.evaluate import measure
from tools.evaluate.measure import Genuine, Group
from tools.evaluate.stats import Interval, bootstrap, per_person, rate_interval
from tools.evaluate.strength import Strength

Floats = npt.NDArray[np.float64]
# Cells tried, as parts of the shipped one: steps of about 5 % cost k log2(1.05), some 3 bits, each.
RATIOS = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.45, 1.6)
TARGET_FRR = 0.05
# Genuine attempts decoded at each cell; of more, every second, third ... is taken.
_MOST = 2000


@dataclass(frozen=True)
class Point:
    """The shipped lattice at another cell.

    Attributes:
        cell: v, in within-person deviations.
        guesswork_bits: median over people, predicted.
        frr: by real decoding.
        frr_ci95: by people.
        failures: (people,) share of each person's attempts that failed, people in alphabetical order.
    """

    cell: float
    guesswork_bits: float
    frr: float
    frr_ci95: Interval
    failures: Floats


@dataclass(frozen=True)
class AtFrr:
    """The curve where it meets a false reject rate: cell, median guesswork there, and its 95 % interval by people."""

    cell: float
    guesswork_bits: float
    guesswork_ci95: Interval


def trace(groups: Sequence[Group], shipped: Sequence[Genuine], strength: Strength, seed: int) -> list[Point]:
    """Decode the genuine attempts at every cell; the shipped cell's outcomes are taken as they are."""
    stride = -(-len(shipped) // _MOST)
    groups = [measure.thinned(group, stride) for group in groups]
    k, cell = groups[0].parameters.k, groups[0].parameters.cell
    bits = float(np.median(per_person(strength.people, strength.bits)))
    points = []
    for ratio in RATIOS:
        again = shipped
        if ratio != 1 or stride > 1:
            again, _ = measure.genuine(measure.at_cells(groups, cell * ratio), seed, f"Cell {cell * ratio:.2f}")
        people = [trial.person for trial in again]
        failed = [trial.opened_at is None for trial in again]
        points.append(
            Point(
                cell=cell * ratio,
                guesswork_bits=bits - k * math.log2(ratio),
                frr=float(np.mean(failed)),
                frr_ci95=rate_interval(people, failed, seed),
                failures=per_person(people, failed),
            )
        )
    return points


def at_frr(points: Sequence[Point], strength: Strength, k: int, seed: int, frr: float = TARGET_FRR) -> AtFrr | None:
    """Read the curve where it meets a false reject rate; None where it does not within the cells tried.

    The interval draws again the people who attempt, each with equal weight, and those enrolled, both at once; a draw
    that does not meet the rate counts as the last cell on its side.
    """
    cells = np.array([point.cell for point in points])
    failures = np.stack([point.failures for point in points], axis=1)
    bits = per_person(strength.people, strength.bits)
    found = crossing(cells, np.array([point.frr for point in points]), frr)
    if found is None:
        return None
    shipped = next(point.cell for point, ratio in zip(points, RATIOS, strict=True) if ratio == 1)
    rng = np.random.default_rng(seed)

    def read(drawn: Floats) -> float:
        rates = drawn.mean(axis=0)
        cell = crossing(cells, rates, frr) or (cells[-1] if rates[-1] > frr else cells[0])
        median = float(np.median(bits[rng.integers(0, len(bits), len(bits))]))
        return median - k * math.log2(cell / shipped)

    return AtFrr(found, float(np.median(bits)) - k * math.log2(found / shipped), bootstrap(failures, read, seed))


def crossing(cells: Floats, rates: Floats, rate: float) -> float | None:
    """Return the cell, between those tried, (n,) rising, at which falling rates (n,) meet a rate, or None."""
    falling = np.minimum.accumulate(rates)
    if not falling[-1] <= rate <= falling[0]:
        return None
    # Read from the right, where rates rise as np.interp wants them.
    return float(np.interp(rate, falling[::-1], cells[::-1]))
