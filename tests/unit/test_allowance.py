# SPDX-License-Identifier: Apache-2.0
"""A user's turns: never more than were given and came back, and never gone for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelatch.ipc.allowance import Allowance

PER_SECOND, AT_ONCE = 8.0, 4


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def allowance(clock: Clock) -> Allowance:
    return Allowance(PER_SECOND, AT_ONCE, clock)


def test_what_is_given_at_once_asks_for_no_rest(allowance: Allowance) -> None:
    assert [allowance.spend() for _ in range(AT_ONCE)] == [0.0] * AT_ONCE


def test_who_overdraws_rests_until_it_has_come_back(allowance: Allowance, clock: Clock) -> None:
    for _ in range(AT_ONCE):
        allowance.spend()
    assert allowance.spend() == 1 / PER_SECOND
    assert allowance.spend() == 2 / PER_SECOND
    clock.now += 2 / PER_SECOND
    assert not allowance.spend_if_any()
    clock.now += 1 / PER_SECOND
    assert allowance.spend() == 0.0


def test_a_turn_that_was_not_had_costs_nothing(allowance: Allowance, clock: Clock) -> None:
    assert [allowance.spend_if_any() for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    clock.now += 0.5 / PER_SECOND
    assert not any(allowance.spend_if_any() for _ in range(100))
    clock.now += 0.5 / PER_SECOND
    assert allowance.spend_if_any()


def test_rest_saves_up_no_more_than_there_was(allowance: Allowance, clock: Clock) -> None:
    full = [allowance.is_full]
    allowance.spend()
    full.append(allowance.is_full)
    clock.now += 3600
    full.append(allowance.is_full)
    assert full == [True, False, True]
    assert [allowance.spend_if_any() for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1))))
def test_nobody_has_more_turns_than_were_given_and_came_back(deeds: list[tuple[bool, float]]) -> None:
    """Whoever rests when told to, and asks at whatever moments otherwise, overdraws by a turn at most."""
    clock = Clock()
    allowance = Allowance(PER_SECOND, AT_ONCE, clock)
    began, had = clock.now, 0
    for knocks, waits in deeds:
        clock.now += waits / PER_SECOND
        if knocks:
            had += allowance.spend_if_any()
        else:
            had += 1
            clock.now += allowance.spend()
        assert had <= AT_ONCE + PER_SECOND * (clock.now - began) + 1e-6
