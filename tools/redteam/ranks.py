# SPDX-License-Identifier: Apache-2.0
"""The search attack's work on many records, against what the estimate G says, and between lattices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from facelatch.l2fe.strength import coset_bits
from tools.decoding import faces
from tools.decoding.studies import span
from tools.decoding.tables import Table, watched
from tools.redteam import enrolments
from tools.redteam.lattices import Lattice
from tools.redteam.records import Population
from tools.redteam.search import NEARLY_ALL, SHARES, Ahead, Floats, Integers, Leak, Search

# Tries after which the share of records that are open is told.
BUDGETS = tuple(1 << bits for bits in (0, 5, 10, 15, 20))
# Bits from which the number of points is near their volume, and fewest records to take a mean over.
_CLEAR = 4
_LEAST = 8


@dataclass(frozen=True)
class Ranks:
    """The attack on each of m records.

    Attributes:
        tries: (m,) log2 of the guesses up to the true one, at least so many where it was given up.
        predicted: (m,) log2 of the number of points in the ellipsoid, by its volume.
        ahead: what was found on each.
    """

    tries: Floats
    predicted: Floats
    ahead: list[Ahead]

    @property
    def capped(self) -> npt.NDArray[np.bool_]:
        """(m,) which were given up."""
        return np.array([one.capped for one in self.ahead])


def record(
    lattice: Lattice, population: Population, index: int, cell: float, seed: Sequence[int]
) -> tuple[Leak, float]:
    """Make the record of one person as Gen does, the same U whatever the lattice.

    Returns:
        What leaks, and |y / spread| of the true point.
    """
    rng = np.random.default_rng([*seed, index])
    rotation = faces.rotation(len(population.spread), rng)
    scale = lattice.side / cell
    hidden = enrolments.hide(population.vectors[index], lattice.basis, scale, rotation, rng)
    leak = Leak(hidden.c, rotation, scale, population.spread)
    return leak, float(np.linalg.norm(leak.whitening @ hidden.w))


def attack(
    lattice: Lattice, population: Population, cell: float, seed: Sequence[int], shares: tuple[float, ...] = SHARES
) -> Ranks:
    """Attack everyone's record."""
    ahead = []
    for index in watched(range(len(population.vectors)), f"{lattice.name}, k = {len(population.spread)}"):
        leak, reach = record(lattice, population, index, cell, seed)
        ahead.append(Search(lattice.basis, leak).ahead(reach, shares))
    tries = np.log2(1 + np.array([one.points for one in ahead]))
    predicted = np.array([coset_bits(y, population.spread, cell) for y in population.vectors])
    return Ranks(tries, predicted, ahead)


def compared(population: Population, lattices: Sequence[Lattice], bits: Sequence[float], seed: int) -> Table:
    """Attack the same people behind each lattice, at cells where G is so many bits; the last lattice is compared to."""
    rows = []
    for number, guesswork in enumerate(bits):
        cell = population.cell(guesswork)
        found = {lattice.name: attack(lattice, population, cell, (seed, number)) for lattice in lattices}
        reference = found[lattices[-1].name]
        rows += [[f"{guesswork:.1f}", f"{cell:.2f}", *_row(name, own, reference)] for name, own in found.items()]
    columns = ["G", "v", "lattice", "predicted median", "median (95 %)", "5 % of records below (95 %)"]
    columns += [f"open at 2^{budget.bit_length() - 1} tries (predicted)" for budget in BUDGETS]
    columns += [
        f"more than predicted, where that is over {_CLEAR} (95 %)",
        f"more than {lattices[-1].name} (95 %)",
        f"open at once more often than {lattices[-1].name} (95 %), in hundredths",
        "searched: wholly, nearly, in part",
        "given up",
    ]
    title = f"Search attack on {len(population.vectors)} records, {population.name}, k = {len(population.spread)}"
    return Table(f"{title}; bits of tries", columns, rows)


def listing(population: Population, lattices: Sequence[Lattice], guesswork: float, seed: int) -> Table:
    """Tell what listing half of the points costs, which is little beside an Argon2id run for each."""
    rows = []
    for lattice in lattices:
        found = attack(lattice, population, population.cell(guesswork), (seed,), shares=(0.5,))
        nodes = np.log2(np.array([max(one.nodes, 1) for one in found.ahead]))
        clear = found.predicted > _CLEAR
        each = (nodes - np.log2(np.array([max(one.points * one.share, 1) for one in found.ahead])))[clear]
        rows.append([lattice.name, f"{np.median(nodes):.1f}", f"{np.median(each):.1f}" if len(each) else ""])
    columns = ["lattice", "median", f"median for each point, where over 2^{_CLEAR} are predicted"]
    title = f"Partial points visited to list half of the points before the true one, {population.name}"
    return Table(f"{title}, k = {len(population.spread)}, G = {guesswork:g}; bits", columns, rows)


def _row(name: str, own: Ranks, reference: Ranks) -> list[str]:
    rows = np.arange(len(own.tries))

    def over(statistic: Callable[[Integers], float]) -> str:
        return span((statistic(rows), *faces.interval(rows, statistic, seed=5)))

    told = ~own.capped & ~reference.capped
    clear = told & (own.predicted > _CLEAR)

    def mean_over(chosen: npt.NDArray[np.bool_], values: Floats) -> str:
        left = values[chosen]
        if len(left) < _LEAST:
            return ""
        middle = float(left.mean())
        return span((middle, *faces.interval(np.arange(len(left)), lambda rows: float(left[rows].mean()), seed=5)))

    at_once = (own.tries == 0) * 1.0 - (reference.tries == 0)
    shares = np.array([one.share for one in own.ahead])
    parts = [np.count_nonzero(shares == 1), np.count_nonzero(shares == NEARLY_ALL), np.count_nonzero(shares < 0.9)]
    return [
        name,
        f"{np.median(own.predicted):.2f}",
        over(lambda rows: float(np.median(own.tries[rows]))),
        over(lambda rows: float(np.quantile(own.tries[rows], 0.05))),
        *(f"{np.mean(own.tries <= np.log2(b)):.1%} ({np.mean(chance(own.predicted, b)):.1%})" for b in BUDGETS),
        mean_over(clear, own.tries - own.predicted),
        "0" if own is reference else mean_over(told, own.tries - reference.tries),
        "0" if own is reference else over(lambda rows: 100 * float(np.mean(at_once[rows]))),
        ", ".join(map(str, parts)),
        str(np.count_nonzero(own.capped)),
    ]


def chance(predicted: Floats, budget: int) -> Floats:
    """Chance that fewer points than the budget lie ahead: Poisson for a budget of one, else all or nothing."""
    likely: Floats = np.exp(-(2**predicted)) if budget == 1 else np.where(2**predicted < budget, 1.0, 0.0)
    return likely
