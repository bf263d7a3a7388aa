# SPDX-License-Identifier: Apache-2.0
"""Refresh: what it keeps, when it is due, and that no sequence of looks takes a sketch further than the bound."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelatch import parameters
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.refresh import History
from tests.faces import Floats, moved, someone

P = parameters.read("standard")
EXTRACTOR = Extractor(P)
DAY = refresh.INTERVAL_USEC
# Each step rounds to whole lattice units: sqrt(k) / 2 of them at most.
ROUNDING = np.sqrt(P.k) / 2 / P.scale


@given(seed=st.integers(0, 2**32 - 1), part=st.floats(0.05, refresh.WELL_INSIDE - 0.02))
@settings(max_examples=60, deadline=None)
def test_a_step_goes_towards_the_look_and_keeps_seed_and_point(seed: int, part: float) -> None:
    rng = np.random.default_rng(seed)
    x = someone(P, rng)
    point = P.lattice.draw(os.urandom)
    sketch = EXTRACTOR.sketch(x, os.urandom(32), point)
    look = moved(P, x, part * P.accept_radius, rng)
    again = refresh.recentre(EXTRACTOR, sketch, point, look)
    assert again is not None
    assert again.seed == sketch.seed
    before = float(np.linalg.norm(refresh.enrolled_vector(EXTRACTOR, sketch, point) - EXTRACTOR.project(look)))
    after = float(np.linalg.norm(refresh.enrolled_vector(EXTRACTOR, again, point) - EXTRACTOR.project(look)))
    step = min(refresh.WEIGHT * before, refresh.MAX_STEP)
    assert after == pytest.approx(before - step, abs=2 * ROUNDING)
    if before < 0.5 * P.accept_radius:  # where decoding is certain, the moved sketch gives the same point
        assert any(np.array_equal(found.point, point) for found in EXTRACTOR.candidates(look, [again]))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_no_sequence_of_looks_moves_a_sketch_beyond_the_bound(seed: int) -> None:
    """The worst a poisoner can do: every look lies as far out as is taken, always in one direction."""
    rng = np.random.default_rng(seed)
    x = someone(P, rng)
    point = P.lattice.draw(os.urandom)
    sketch = EXTRACTOR.sketch(x, os.urandom(32), point)
    start = refresh.enrolled_vector(EXTRACTOR, sketch, point)
    back = np.linalg.pinv(P.projection.matrix)
    away = back @ rng.normal(size=P.k)
    history, now = History(enrolled_usec=DAY, refreshed_usec=0, steps=0), DAY
    for _ in range(40):
        now += int(rng.integers(0, 2 * DAY))
        if not refresh.due(history, now):
            continue
        here = refresh.enrolled_vector(EXTRACTOR, sketch, point)
        look = furthest_look_taken(here, away)
        again = refresh.recentre(EXTRACTOR, sketch, point, look)
        if again is not None:
            sketch, history = again, History(history.enrolled_usec, now, history.steps + 1)
    path = np.linalg.norm(refresh.enrolled_vector(EXTRACTOR, sketch, point) - start)
    assert history.steps == refresh.MAX_STEPS
    assert path <= refresh.MAX_STEPS * (refresh.MAX_STEP + ROUNDING)
    # The control: the attack does move it, by most of what the bound allows.
    assert path >= 0.5 * refresh.MAX_STEPS * refresh.MAX_STEP


def furthest_look_taken(here: Floats, away: Floats) -> Floats:
    base: Floats = P.projection.mean + np.linalg.pinv(P.projection.matrix) @ here
    base /= np.linalg.norm(base)
    best = base
    for share in np.linspace(0.01, 1.0, 60):
        look = base + share * away
        look /= np.linalg.norm(look)
        if np.linalg.norm(P.projection(look) - here) <= refresh.WELL_INSIDE * P.accept_radius:
            best = look
    return best


@pytest.mark.parametrize("sittings", [1, 2, 5])
def test_a_sitting_is_joined_to_the_mean_of_those_before(sittings: int) -> None:
    rng = np.random.default_rng(sittings)
    x = someone(P, rng)
    point = P.lattice.draw(os.urandom)
    sketch = EXTRACTOR.sketch(x, os.urandom(32), point)
    look = moved(P, x, 0.95 * P.accept_radius, rng)  # farther than any look moves a record by itself
    again = refresh.joined(EXTRACTOR, sketch, point, look, sittings)
    assert again.seed == sketch.seed
    mean = (sittings * EXTRACTOR.project(x) + EXTRACTOR.project(look)) / (sittings + 1)
    assert np.linalg.norm(refresh.enrolled_vector(EXTRACTOR, again, point) - mean) < 2 * ROUNDING
    if sittings == 1:  # halfway from it, the look is found again
        assert any(np.array_equal(found.point, point) for found in EXTRACTOR.candidates(look, [again]))


@pytest.mark.parametrize("part", [refresh.WELL_INSIDE + 0.05, 1.0, 2.0])
def test_a_look_that_is_not_well_inside_moves_nothing(part: float) -> None:
    rng = np.random.default_rng(4)
    x = someone(P, rng)
    point = P.lattice.draw(os.urandom)
    sketch = EXTRACTOR.sketch(x, bytes(32), point)
    assert refresh.recentre(EXTRACTOR, sketch, point, moved(P, x, part * P.accept_radius, rng)) is None


@pytest.mark.parametrize(
    ("history", "now", "expected"),
    [
        (History(0, 0, 0), DAY, True),
        (History(0, 0, 0), DAY - 1, False),
        (History(0, DAY, 1), 2 * DAY - 1, False),
        (History(0, DAY, 1), 2 * DAY, True),
        (History(0, DAY, refresh.MAX_STEPS), 100 * DAY, False),
        (History(50 * DAY, 60 * DAY, 1), 10 * DAY, False),
    ],
    ids=["a day later", "too soon", "once a day", "next day", "no steps left", "clock set back"],
)
def test_when_a_step_is_due(history: History, now: int, expected: bool) -> None:
    assert refresh.due(history, now) is expected


@pytest.mark.parametrize("name", ["standard", "strict"])
def test_what_is_promised_of_refreshes(name: str) -> None:
    """The README: once a day, eight times at most. docs/crypto.md: a quarter of the way, and a path under 5.5."""
    p = parameters.read(name)
    assert (refresh.INTERVAL_USEC, refresh.MAX_STEPS, refresh.WEIGHT) == (86_400_000_000, 8, 0.25)
    assert refresh.MAX_STEPS * (refresh.MAX_STEP + np.sqrt(p.k) / 2 / p.scale) < 5.5
