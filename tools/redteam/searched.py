# SPDX-License-Identifier: Apache-2.0
"""What searches found, in figures, tables, a picture and a sentence."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facelatch.l2fe import keys
from facelatch.l2fe.keys import Argon2idCost
from tools.decoding.tables import Table
from tools.evaluate import chart
from tools.evaluate.chart import Chart
from tools.evaluate.stats import DRAWS, TAIL, success
from tools.redteam.beliefs import Floats
from tools.redteam.search import SHARES
from tools.redteam.trying import Rank

# Tries after which the share of records open is told, log2.
BUDGETS = (0, 10, 20, 30)
QUANTILES = {"median_log2": 0.5, "p5_log2": 0.05, "p1_log2": 0.01}
# Records at once.
_MANY = (1, 10, 100, 1000)
_YEAR = 365.25 * 86400
_TIMED = 3
_SEED = 11
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Run:
    """Searches of many records.

    Attributes:
        name: for people.
        cell: v.
        ranks: what each record costs.
    """

    name: str
    cell: float
    ranks: list[Rank]

    @property
    def tries(self) -> Floats:
        """(m,) log2 of the guesses up to the true one, counted."""
        return np.array([rank.tries for rank in self.ranks])

    @property
    def expected(self) -> Floats:
        """(m,) log2 of the points that the volume promises before it."""
        return np.array([rank.expected for rank in self.ranks])

    def share(self, tries: float) -> float:
        """Share of the records open after so many tries."""
        return _share(self.tries, tries)

    def promised(self, tries: float) -> float:
        """Share predicted to be."""
        return float(np.mean([success(bits, int(tries)) for bits in self.expected]))


def _share(tries: Floats, budget: float) -> float:
    return float(np.mean(tries <= math.log2(budget) + _ROUNDING))


def _interval(tries: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
    """95 % interval of a statistic of (draws, m) tries, over people."""
    rng = np.random.default_rng(_SEED)
    drawn = statistic(tries[rng.integers(0, len(tries), (DRAWS, len(tries)))])
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return float(low), float(high)


def _open_by(bits: float) -> Callable[[Floats], Floats]:
    return lambda drawn: np.mean(drawn <= bits + _ROUNDING, axis=1)


def _quantile(share: float) -> Callable[[Floats], Floats]:
    return lambda drawn: np.quantile(drawn, share, axis=1)


def argon2id_seconds(cost: Argon2idCost) -> float:
    """Time one Argon2id run at the set's cost on this machine: the median of a few."""
    taken = []
    for _ in range(_TIMED):
        start = time.perf_counter()
        keys.stretch(b"guess", pepper=bytes(32), binding=(), salt=bytes(keys.SALT_BYTES), cost=cost)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def core_years(tries: float, second: float) -> float:
    """Return what log2 of so many Argon2id runs take on one core."""
    return float(2.0**tries * second / _YEAR)


def figures(run: Run, second: float) -> dict[str, object]:
    """Return what the JSON file holds of a run."""
    quantiles = {name: float(np.quantile(run.tries, share)) for name, share in QUANTILES.items()}
    predicted = {
        name.replace("_log2", ""): float(np.quantile(run.expected, share)) for name, share in QUANTILES.items()
    }
    return {
        "records": len(run.ranks),
        "cell": run.cell,
        "success_at": {
            f"2^{bits}": {
                "counted": run.share(2**bits),
                "interval": _interval(run.tries, _open_by(bits)),
                "predicted": run.promised(2**bits),
            }
            for bits in BUDGETS
        },
        **quantiles,
        "median_interval": _interval(run.tries, _quantile(0.5)),
        "p5_interval": _interval(run.tries, _quantile(0.05)),
        "predicted_log2": predicted,
        "counting_error": float(np.median([rank.error for rank in run.ranks])),
        "core_years": {name.replace("_log2", ""): core_years(bits, second) for name, bits in quantiles.items()},
        "argon2id_seconds": second,
    }


def table(title: str, runs: Sequence[Run]) -> Table:
    """Tell of each run what was counted and, in brackets, what is predicted."""
    rows = []
    for run in runs:
        told = []
        for share in QUANTILES.values():
            low, high = _interval(run.tries, _quantile(share))
            counted, predicted = np.quantile(run.tries, share), np.quantile(run.expected, share)
            told.append(f"{counted:.1f}, {low:.1f} to {high:.1f} ({predicted:.1f})")
        open_ = [f"{run.share(2**bits):.1%} ({run.promised(2**bits):.1%})" for bits in BUDGETS]
        rows.append([run.name, str(len(run.ranks)), f"{run.cell:.2f}", *told, *open_, f"{_apart(run):.2f}"])
    heads = [f"{'median' if share == 0.5 else f'one in {1 / share:.0f} below'}, 95 %" for share in QUANTILES.values()]
    columns = ["attacked", "records", "v", *heads, *(f"open at 2^{bits}" for bits in BUDGETS), "largest gap, bits"]
    return Table(title, columns, rows)


def _apart(run: Run) -> float:
    """Return the largest gap in bits between the counted and the predicted curve, where each has a success to tell.

    At each record's place in the order, the tries by which so many are open and were predicted to be.
    """
    counted, predicted = np.sort(run.tries), np.sort(np.logaddexp2(0, run.expected))
    return float(np.abs(counted - predicted).max())


def promised(promises: Mapping[int, Mapping[str, Floats]]) -> dict[str, object]:
    """Return what the JSON file holds of predictions for everybody, by k and belief."""
    return {
        f"k = {k}": {
            belief: {name: float(np.quantile(bits, share)) for name, share in QUANTILES.items()}
            for belief, bits in beliefs.items()
        }
        for k, beliefs in promises.items()
    }


def promises(found: Mapping[int, Mapping[str, Floats]]) -> Table:
    """Tell of predictions for everybody, by k and belief."""
    rows = []
    for k, beliefs in found.items():
        for belief, bits in beliefs.items():
            told = []
            for share in QUANTILES.values():
                low, high = _interval(bits, _quantile(share))
                told.append(f"{np.quantile(bits, share):.1f}, {low:.1f} to {high:.1f}")
            rows.append([f"k = {k}, {belief}", str(len(bits)), *told])
    heads = [f"{'median' if share == 0.5 else f'one in {1 / share:.0f} below'}, 95 %" for share in QUANTILES.values()]
    return Table(
        "Predicted by volume for everybody, by what the attacker believes", ["belief", "records", *heads], rows
    )


def cost(runs: Sequence[Run], second: float) -> Table:
    """Tell what the tries cost, and what listing them does."""
    rows = []
    for run in runs:
        nodes = np.array([rank.nodes for rank in run.ranks]) - run.tries
        told = [f"{core_years(float(np.quantile(run.tries, share)), second):.3g}" for share in QUANTILES.values()]
        rows.append([run.name, *told, f"{np.median(nodes):.1f}"])
    columns = [
        "attacked",
        "median",
        "one in 20 below",
        "one in 100 below",
        "log2 of partial points listed for each try",
    ]
    return Table(f"Core-years of Argon2id, at {second:.3f} s a run on one core of this machine", columns, rows)


def many(run: Run) -> Table:
    """Tell what it takes until one of several records opens, when tries are shared out evenly."""
    totals = np.arange(0, 80, 0.25)
    rows = []
    for count in _MANY:
        open_ = 1 - (1 - np.array([_share(run.tries, 2 ** (bits - np.log2(count))) for bits in totals])) ** count
        rows.append([str(count), *(f"{totals[np.argmax(open_ >= chance)]:.1f}" for chance in (0.05, 0.5))])
    title = "Many records at once, tries shared out evenly; log2 of tries in all until one opens"
    return Table(title, ["records", "with a chance of 5 %", "of one half"], rows)


def checked(runs: Sequence[Run]) -> Table:
    """Compare counting by sampling with listing every point, record by record."""
    rows = []
    for run in runs:
        done = [(rank, rank.listed) for rank in run.ranks if rank.listed is not None and not rank.listed.capped]
        gaps = np.array([rank.tries - np.log2(1 + ahead.points) for rank, ahead in done])
        whole = sum(ahead.share == 1 for _, ahead in done)
        rows.append(
            [
                run.name,
                f"{whole} wholly, {len(done) - whole} in part, {len(run.ranks) - len(done)} given up",
                f"{gaps.mean():+.2f}, {np.abs(gaps).max():.2f}" if len(gaps) else "",
                f"{np.mean([ahead.points < 1 for _, ahead in done]):.0%}" if done else "",
                f"{sum(not rank.beamed for rank in run.ranks)}",
                f"{np.median(run.tries):.1f} ({np.median(run.expected):.1f})",
            ]
        )
    columns = ["attacked", f"listed (shares tried {SHARES})", "counted less listed, bits: mean, worst", "open at once"]
    columns += ["missed by a beam", "median (predicted)"]
    return Table("Counting checked against listing every point", columns, rows)


def said(tries: Floats, promised: Mapping[str, Floats], second: float) -> list[str]:
    """Tell a door owner what it means, by what was counted and by the belief that promises the fewest tries."""
    best = min(promised, key=lambda belief: float(np.median(promised[belief])))
    return [
        f"A thief with the record and the device key, but no photograph, needs {_durations(promised[best], second)} "
        f"({best}, by volume). Whoever knows no more than the parameter set needs {_durations(tries, second)}."
    ]


def _durations(tries: Floats, second: float) -> str:
    half, twentieth = (_duration(core_years(float(np.quantile(tries, share)), second)) for share in (0.5, 0.05))
    return f"{half} of one processor core for every second owner and less than {twentieth} for one in twenty"


def _duration(years: float) -> str:
    if years >= 1:
        return f"{years:,.0f} years"
    days = years * _YEAR / 86400
    return (
        f"{days:,.0f} days"
        if days >= 1
        else f"{days * 24:.2g} hours"
        if days * 24 >= 1
        else f"{days * 1440:.2g} minutes"
    )


def picture(run: Run) -> str:
    """Draw success against tries: counted, with its 95 % band, and predicted."""
    high = max(40.0, float(np.ceil(run.tries.max())))
    bits = np.linspace(0, high, 161).tolist()
    plot = Chart(
        "Records open after so many tries",
        chart.linear("log2 of tries (one Argon2id run each)", 0, high),
        chart.linear("share of records open", 0, 1),
    )
    band = np.array([_interval(run.tries, _open_by(b)) for b in bits[::8]])
    for place, (low, up) in zip(bits[::8], band, strict=True):
        plot.line([place, place], [low, up], "faint")
    plot.line(bits, [run.promised(2.0**b) for b in bits], "other")
    plot.line(bits, [run.share(2.0**b) for b in bits], "own")
    plot.text(0.03 * high, 0.93, "counted, real people held out", "note own")
    plot.text(0.03 * high, 0.86, "predicted from the volume", "note other")
    return (
        f"<figure>{plot.render()}<figcaption>{run.name}, {len(run.ranks)} records. Counted by sampling the search "
        "tree, which costs no Argon2id run; grey: 95 %, over people.</figcaption></figure>"
    )
