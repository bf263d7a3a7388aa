# SPDX-License-Identifier: Apache-2.0
"""The statistics of an evaluation: known answers, and intervals that do not take trials of one person for news."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facelatch import parameters
from tools.evaluate import curve
from tools.evaluate.figures import population_at, rejects
from tools.evaluate.measure import Genuine
from tools.evaluate.stats import bootstrap, clopper_pearson, det, per_person, rate_interval, success
from tools.evaluate.strength import Strength
from tools.evaluate.table import warnings
from tools.trials import people_bootstrap


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [
        # Tables of Clopper and Pearson's interval; none of n has 1 - 0.025^(1/n) above it.
        (0, 10, 0.0, 0.30850),
        (1, 100, 0.000253, 0.054459),
        (5, 10, 0.187086, 0.812914),
        (10, 10, 0.69150, 1.0),
        (0, 51744, 0.0, 7.1289e-5),
    ],
)
def test_clopper_and_pearson(events: int, trials: int, low: float, high: float) -> None:
    assert clopper_pearson(events, trials) == pytest.approx((low, high), rel=1e-3)


def test_without_trials_there_is_no_interval() -> None:
    with pytest.raises(ValueError, match="no trials"):
        clopper_pearson(0, 0)


def test_people_tell_less_than_trials_where_a_persons_attempts_are_alike() -> None:
    failed = np.repeat(np.random.default_rng(1).random(30) < 0.3, 20).tolist()
    people = [f"{index // 20}" for index in range(len(failed))]
    low, high = rate_interval(people, failed, seed=1)
    naive_low, naive_high = people_bootstrap([str(index) for index in range(len(failed))], failed, seed=1)
    assert high - low > 3 * (naive_high - naive_low)
    assert low < np.mean(failed) < high


@pytest.mark.parametrize("failed", [False, True])
def test_where_all_ended_alike_each_person_counts_once(failed: bool) -> None:
    people = ["anna", "otto", "otto", "otto"]
    assert rate_interval(people, [failed] * 4, seed=1) == clopper_pearson(2 * failed, 2)


def test_a_statistic_is_drawn_again_by_its_rows() -> None:
    values = np.random.default_rng(2).normal(size=400)
    low, high = bootstrap(values, lambda drawn: float(drawn.mean()), seed=3)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    assert bootstrap(values, lambda drawn: float(drawn.mean()), seed=3) == (low, high)


def test_means_are_taken_by_person() -> None:
    assert per_person(["b", "a", "b"], [1, 5, 3]).tolist() == [5, 2]


def test_a_higher_threshold_rejects_fewer_and_accepts_more() -> None:
    rng = np.random.default_rng(4)
    thresholds, frr, far = det(rng.normal(5, 1, 300), rng.normal(8, 1, 2000))
    assert np.all(np.diff(thresholds) > 0)
    assert np.all(np.diff(frr) <= 0)
    assert np.all(np.diff(far) >= 0)
    assert (frr[-1], far[-1]) == (0, 1)


def test_error_rates_of_a_threshold() -> None:
    thresholds, frr, far = det([1, 2, 3, 4], [3, 5])
    assert thresholds.tolist() == [1, 2, 3, 4, 5]
    assert frr.tolist() == [0.75, 0.5, 0.25, 0, 0]
    assert far.tolist() == [0, 0, 0.5, 0.5, 1]


@pytest.mark.parametrize(
    ("bits", "tries", "chance"),
    [
        (-math.inf, 1, 1),
        (0, 1, math.exp(-1)),
        (3, 1, math.exp(-8)),
        (9, 1 << 10, 1),
        (10, 1 << 10, 0.5),
        (11, 1 << 10, 0),
        (20, 1 << 20, 0.5),
        (60, 1 << 30, 0),
    ],
)
def test_success_from_known_bits(bits: float, tries: int, chance: float) -> None:
    assert success(bits, tries) == pytest.approx(chance, abs=0.02)


def test_success_is_that_of_counted_points() -> None:
    others = np.random.default_rng(5).poisson(2.0**10.05, 20_000)
    assert success(10.05, 1 << 10) == pytest.approx(np.mean(others < 1 << 10), abs=0.01)


def test_rejects_are_counted_after_the_first_and_after_all_looks() -> None:
    trials = [Genuine("a", "a", "a", 5.0, opened_at) for opened_at in (0, 0, 1, 2, None)]
    found = rejects(trials, seed=1)
    assert (found["frr"], found["frr_at_first_frame"]) == (pytest.approx(0.2), pytest.approx(0.6))


@pytest.mark.parametrize(("centred", "said"), [(19.0, 0), (14.0, 1), (None, 0)])
def test_a_group_off_the_models_mean_is_said(centred: float | None, said: int) -> None:
    figures = {
        "held_out": True,
        "identities": 2,
        "unreadable": [],
        "guesswork_bits": 20.0,
        "guesswork_bits_centred": centred,
    }
    assert len(warnings(figures)) == said


def points(rates: list[list[float]]) -> list[curve.Point]:
    """Make a curve from the failures of each person at each cell: the shipped cell is 1."""
    return [
        curve.Point(ratio, 20 - 48 * math.log2(ratio), float(np.mean(failures)), (0, 1), np.array(failures))
        for ratio, failures in zip(curve.RATIOS, rates, strict=True)
    ]


def test_the_curve_is_read_where_it_meets_the_rate() -> None:
    traced = points([[max(0.0, 0.11 - 0.01 * step)] * 5 for step in range(len(curve.RATIOS))])
    met = curve.at_frr(traced, Strength(list("abcde"), [20.0] * 5, [], None), 48, seed=1)
    assert met is not None
    # The seventh cell, 1.05, has 5 %; people who are all alike leave no doubt.
    assert met.cell == pytest.approx(1.05)
    assert met.guesswork_bits == pytest.approx(20 - 48 * math.log2(1.05))
    assert met.guesswork_ci95 == pytest.approx((met.guesswork_bits, met.guesswork_bits))


def test_a_curve_that_does_not_meet_the_rate_gives_nothing() -> None:
    strength = Strength(["a", "b"], [20.0, 21.0], [], None)
    assert curve.at_frr(points([[0.5, 0.4]] * len(curve.RATIOS)), strength, 48, seed=1) is None
    assert curve.at_frr(points([[0.0, 0.0]] * len(curve.RATIOS)), strength, 48, seed=1) is None


def test_a_crossing_lies_between_two_cells() -> None:
    cells, rates = np.array([4.0, 5.0, 6.0, 7.0]), np.array([0.2, 0.1, 0.12, 0.0])
    assert curve.crossing(cells, rates, 0.15) == pytest.approx(4.5)
    assert curve.crossing(cells, rates, 0.05) == pytest.approx(6.5)
    assert curve.crossing(cells, rates, 0.3) is None


def test_the_population_guesswork_where_the_curve_meets_a_rate() -> None:
    p = parameters.read("standard")
    cells = [p.cell * ratio for ratio in (0.5, 1, 2)]
    traced = [
        curve.Point(cell, 0.0, rate, (0.0, 1.0), np.array([rate]))
        for cell, rate in zip(cells, (0.9, 0.2, 0.0), strict=True)
    ]
    found = population_at(traced, 30.0, p, 0.1)
    # Halfway between the shipped cell and twice that: log2 1.5 bits less in each coordinate.
    assert found["cell_at_frr10"] == pytest.approx(1.5 * p.cell)
    assert found["guesswork_at_frr10_gaussian"] == pytest.approx(30 - p.k * np.log2(1.5))
    nowhere = {"cell_at_frr1": None, "guesswork_at_frr1_gaussian": None}
    assert population_at(traced[:2], 30.0, p, 0.01) == population_at([], 30.0, p, 0.01) == nowhere
