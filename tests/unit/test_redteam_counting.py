# SPDX-License-Identifier: Apache-2.0
"""Counting by sampling tells what listing finds, for any belief of the attacker's."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facelatch.l2fe.strength import coset_bits
from tools.redteam import beliefs, counting, lattices, ranks, trying
from tools.redteam.beliefs import Belief, Floats, Gaussian
from tools.redteam.counting import Coset
from tools.redteam.records import Population
from tools.redteam.search import Search
from tools.redteam.trying import Target

pytest.importorskip("fpylll")

K = 24
ONES = np.ones(K)
SPREAD = np.linspace(3, 1, K)


def made_up(index: int, bits: float) -> tuple[Coset, Search, float]:
    """Return one record at about so many bits, for counting and for listing, and how far its true point is."""
    people = Population("made up", SPREAD * np.random.default_rng(1).normal(size=(8, K)), SPREAD)
    leeches = lattices.leeches(K)
    leak, reach = ranks.record(leeches, people, index, people.cell(bits), (1,))
    return trying.coset(leak, leeches.basis, beliefs.apart(np.zeros(K), SPREAD)), Search(leeches.basis, leak), reach


@pytest.mark.parametrize("index", range(4))
def test_where_all_fit_the_count_is_exact(index: int) -> None:
    coset, search, reach = made_up(index, 6)
    sample = coset.sample(reach, np.random.default_rng(2), beam=1 << 16)
    assert sample.points == search.ahead(reach, (1.0,)).points
    assert np.all(np.linalg.norm(sample.residuals, axis=1) < reach)
    assert sample.nodes == round(sample.nodes)


def test_where_they_do_not_it_is_right_on_average() -> None:
    ratios = []
    for index in range(8):
        coset, search, reach = made_up(index, 9)
        rng = np.random.default_rng(3)
        found = [coset.sample(reach, rng, beam=150).points for _ in range(30)]
        listed = search.ahead(reach, (1.0,)).points
        if listed > 60:
            assert np.std(found) > 0
            ratios.append(np.mean(found) / listed)
    assert len(ratios) >= 3
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_thinning_keeps_every_count_on_average() -> None:
    rng = np.random.default_rng(4)
    weights = rng.uniform(1, 3, 100)
    expected = np.log(weights) + rng.normal(0, 0.5, 100)
    sums = np.zeros(100)
    for _ in range(4000):
        kept, new = counting._thin(weights, expected, 30, rng)
        assert 29 <= len(kept) <= 31
        assert np.all(new >= weights[kept] * (1 - 1e-12))
        sums[kept] += new
    assert sums / 4000 == pytest.approx(weights, rel=0.2)
    kept, same = counting._thin(weights, expected, 100, rng)
    assert len(kept) == 100
    assert np.array_equal(same, weights)


def test_a_wide_beam_lists_them_all_and_a_narrow_one_misses() -> None:
    coset, search, reach = made_up(1, 2)
    listed = coset.nearest(reach, 1 << 14)
    distances = np.linalg.norm(listed, axis=1)
    assert np.all(np.diff(distances) >= -1e-9)
    assert len(listed) == search.ahead(reach, (1.0,)).points + 1
    assert distances[-1] == pytest.approx(reach)
    assert len(coset.nearest(reach, 2)) < len(listed)


def published() -> Belief:
    return (beliefs.apart(np.zeros(K), SPREAD),)


def test_what_is_expected_is_what_enrolment_judges_by() -> None:
    y = SPREAD * np.random.default_rng(5).normal(size=K)
    assert beliefs.expected_bits(published(), y, 5.0) == pytest.approx(coset_bits(y, SPREAD, 5.0))


def two_groups(count: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    sides = np.where(rng.random((count, 1)) < 0.5, -4.0, 4.0) * (np.arange(K) < 4)
    groups: Floats = sides + rng.normal(size=(count, K))
    return groups


def test_who_knows_of_groups_needs_fewer_tries() -> None:
    people, others = two_groups(8, 6), two_groups(2000, 7)
    whole = beliefs.mixture(others, np.zeros((K, K)), 1, 1)
    parts = beliefs.mixture(others, np.zeros((K, K)), 2, 1)
    assert sum(part.chance for part in parts) == pytest.approx(1)

    def tries(belief: Belief) -> float:
        return float(np.mean([trying.rank(Target(y, belief, 2.6, (8, i))).tries for i, y in enumerate(people)]))

    assert tries(whole) - tries(parts) > 0.4
    told = beliefs.nearest_part(parts, people[0])
    assert len(told) == 1
    assert told[0].chance == 1
    assert abs(told[0].mean[0] - people[0][0]) < 4


def test_a_point_in_two_parts_counts_once() -> None:
    part = beliefs.apart(np.zeros(K), ONES)
    half = Gaussian(part.mean, part.whitening, 0.5)
    y = np.random.default_rng(9).normal(size=K)
    once = trying.rank(Target(y, (part,), 3.0, (1, 0)))
    twice = trying.rank(Target(y, (half, half), 3.0, (1, 0)))
    assert once.tries > 3
    assert twice.tries == pytest.approx(once.tries, abs=0.15)
    assert beliefs.reaches((half, half), y) == pytest.approx([float(np.linalg.norm(y))] * 2)


def test_who_believes_the_truth_opens_at_once() -> None:
    y = SPREAD * np.random.default_rng(10).normal(size=K)
    assert trying.rank(Target(y, (beliefs.apart(y, ONES),), 4.0, (1, 1))).tries == 0


def test_counting_agrees_with_listing_record_by_record() -> None:
    rng = np.random.default_rng(11)
    for index in range(3):
        found = trying.listed(Target(SPREAD * rng.normal(size=K), published(), 6.5, (2, index)))
        assert found.listed is not None
        assert not found.listed.capped
        assert found.tries == pytest.approx(math.log2(1 + found.listed.points), abs=0.4)
        assert found.beamed is not None


def test_the_result_is_the_same_on_several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    targets = [Target(SPREAD * rng.normal(size=K), published(), 8.0, (3, index)) for index in range(8)]
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    together = trying.ranked(targets, "on two")
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert trying.ranked(targets, "on one") == together


def test_what_a_hint_tells_is_learnt_from_others() -> None:
    rng = np.random.default_rng(13)
    hints = rng.normal(size=(5000, 3))
    vectors = 1 + np.array([0.9, 0.5, 0.0]) * hints + np.array([0.6, 1.0, 2.0]) * rng.normal(size=(5000, 3))
    slope, offset, left = beliefs.from_pairs(hints, vectors)
    assert slope == pytest.approx([0.9, 0.5, 0.0], abs=0.1)
    assert offset == pytest.approx([1, 1, 1], abs=0.1)
    assert left == pytest.approx([0.6, 1.0, 2.0], abs=0.1)
