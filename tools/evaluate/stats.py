# SPDX-License-Identifier: Apache-2.0
"""Rates and their intervals, where the trials of one person are not independent of each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tools.trials import people_bootstrap

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
TAIL = 0.025
DRAWS = 2000


def clopper_pearson(events: int, trials: int) -> Interval:
    """Exact 95 % interval of a probability (Clopper and Pearson, Biometrika 1934): conservative at any count.

    Raises:
        ValueError: there are no trials.
    """
    if trials < 1:
        raise ValueError("no trials, no interval")
    low = 0.0 if events == 0 else 1 - _upper(trials - events, trials)
    return low, (1.0 if events == trials else _upper(events, trials))


def _upper(events: int, trials: int) -> float:
    """Return the p at which so few events have probability TAIL, by halving."""
    counts = range(events + 1)
    ways = np.array([-math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in counts]) + math.lgamma(trials + 1)
    hits = np.arange(events + 1)
    low, high = events / trials, 1.0
    for _ in range(60):
        p = (low + high) / 2
        logs = ways + hits * math.log(p) + (trials - hits) * math.log1p(-p)
        low, high = (p, high) if np.exp(logs).sum() > TAIL else (low, p)
    return (low + high) / 2


def rate_interval(people: Sequence[str], events: Sequence[bool], seed: int) -> Interval:
    """95 % interval of a rate by drawing people again.

    Where all trials ended alike there is nothing to draw, so each person is then counted as a single trial.
    """
    if any(events) and not all(events):
        return people_bootstrap(people, events, seed, DRAWS)
    count = len(set(people))
    return clopper_pearson(count if events[0] else 0, count)


def bootstrap(values: Floats, statistic: Callable[[Floats], float], seed: int) -> Interval:
    """95 % interval of a statistic of values (n, ...), one of each person, when people are drawn again."""
    rng = np.random.default_rng(seed)
    drawn = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(DRAWS)]
    low, high = np.quantile(drawn, [TAIL, 1 - TAIL])
    return float(low), float(high)


def per_person(people: Sequence[str], values: npt.ArrayLike) -> Floats:
    """Mean of the values of each person, (n,), people in alphabetical order."""
    _, person = np.unique(np.asarray(people), return_inverse=True)
    means: Floats = np.bincount(person, weights=np.asarray(values, dtype=np.float64)) / np.bincount(person)
    return means


def det(genuine: npt.ArrayLike, impostor: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Error rates of a threshold on a distance, for every threshold that changes one.

    Returns:
        (t,) thresholds, rising; the share of genuine distances above each; the share of impostor ones not above it.
    """
    own, other = np.sort(np.asarray(genuine, np.float64)), np.sort(np.asarray(impostor, np.float64))
    thresholds = np.unique(np.concatenate([own, other]))
    frr = 1 - np.searchsorted(own, thresholds, side="right") / len(own)
    far = np.searchsorted(other, thresholds, side="right") / len(other)
    return thresholds, frr, far


def success(bits: float, tries: int) -> float:
    """Probability that the true point is among the first ``tries`` where 2^bits others are expected before it.

    The points of a randomly turned lattice in a large body count as Poisson's, for many tries taken for normal.
    """
    others = 2.0**bits
    if tries == 1 or others == 0:
        return math.exp(-others)
    return 0.5 * math.erfc((others + 0.5 - tries) / math.sqrt(2 * others))
