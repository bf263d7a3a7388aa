# SPDX-License-Identifier: Apache-2.0
"""The projection on a population whose covariances are known."""

from __future__ import annotations

import numpy as np
import pytest

from facelatch.l2fe import population
from facelatch.l2fe.strength import coset_bits, guesswork_bits

RNG = np.random.default_rng(3)
SPREAD = np.array([5.0, 4.0, 3.0, 1.0, 0.5, 0.2])


def known_population(people: int, looks: int) -> tuple[np.ndarray, np.ndarray]:
    mixing = RNG.normal(size=(6, 6))
    who = np.repeat(np.arange(people), looks)
    centres = RNG.normal(size=(people, 6)) * SPREAD
    return (centres[who] + RNG.normal(size=(people * looks, 6))) @ mixing + 3.0, who


def test_within_person_covariance_becomes_the_identity() -> None:
    x, who = known_population(3000, 4)
    y = population.fit(x, who, 6, shrinkage=0.0)(x)
    deviations = y - np.stack([y[who == p].mean(axis=0) for p in range(3000)])[who]
    covariance = deviations.T @ deviations / (len(y) - 3000)
    assert np.abs(covariance - np.eye(6)).max() < 1e-9


def test_coordinates_come_by_between_person_spread_and_recover_it() -> None:
    x, who = known_population(3000, 4)
    y = population.fit(x, who, 6, shrinkage=0.0)(x)
    centres = np.stack([y[who == p].mean(axis=0) for p in range(3000)])
    spread = np.sqrt(centres.var(axis=0) - 1 / 4)
    assert np.allclose(spread, SPREAD, rtol=0.08, atol=0.05)


def test_people_with_a_single_look_are_no_obstacle() -> None:
    x, who = known_population(500, 4)
    alone, _ = known_population(1, 300)
    fitted = population.fit(np.vstack([x, alone]), np.concatenate([who, 1000 + np.arange(300)]), 3, shrinkage=0.1)
    assert fitted.matrix.shape == (3, 6)
    assert np.all(np.isfinite(fitted.matrix))


def test_a_person_of_few_images_counts_like_one_of_many_in_what_people_differ_by() -> None:
    """Noise of single images must not pass for a difference between people, however many images each has."""
    looks = np.where(np.arange(3000) % 2 == 0, 2, 9)
    who = np.repeat(np.arange(3000), looks)
    x = RNG.normal(size=(3000, 6))[who] * SPREAD + RNG.normal(size=(len(who), 6))
    fitted = population.fit(x, who, 6, shrinkage=0.0)
    # Of independent coordinates in rising noise each finds its own.
    assert np.abs(np.abs(fitted.matrix) - np.eye(6)).max() < 0.25
    alone = RNG.normal(size=(4000, 6)) @ np.diag([0, 0, 0, 0, 0, 90.0])
    again = population.fit(np.vstack([x, alone]), np.concatenate([who, 9000 + np.arange(4000)]), 6, shrinkage=0.0)
    assert np.allclose(np.abs(again.matrix), np.abs(fitted.matrix)), "people with a single image moved the directions"


def uneven_population() -> tuple[np.ndarray, np.ndarray]:
    """Few people, of one to five images each, so that every weight counts."""
    who = np.repeat(np.arange(12), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 2, 2])
    return RNG.normal(size=(12, 3))[who] * 3 + RNG.normal(size=(len(who), 3)) + 2.0, who


def test_the_within_person_covariance_is_mixed_and_shrunk_as_the_formula_says() -> None:
    x, who = uneven_population()
    changes, share, shrinkage = np.diag([4.0, 1.0, 0.25]) + 0.1, 0.3, 0.2
    deviations = x - np.stack([x[who == p].mean(axis=0) for p in who])
    own = deviations.T @ deviations / (len(x) - 12)
    mixed = 0.7 * own + 0.3 * changes
    within = 0.8 * mixed + 0.2 * np.trace(mixed) / 3 * np.eye(3)
    fitted = population.fit(x, who, 3, shrinkage, changes=changes, share=share)
    assert np.allclose(fitted.matrix @ within @ fitted.matrix.T, np.eye(3))
    # Without changes a share has nothing to be of.
    alone = population.fit(x, who, 3, 0.0, share=share)
    assert np.allclose(alone.matrix @ own @ alone.matrix.T, np.eye(3))


def test_directions_are_those_in_which_two_images_of_a_person_agree() -> None:
    x, who = uneven_population()
    several = [x[who == p] for p in range(12) if (who == p).sum() > 1]
    centre = np.mean([images.mean(axis=0) for images in several], axis=0)
    pairs = [
        np.mean([np.outer(a, b) for i, a in enumerate(own) for j, b in enumerate(own) if i != j], axis=0)
        for own in (images - centre for images in several)
    ]
    fitted = population.fit(x, who, 3, 0.0)
    between = fitted.matrix @ np.mean(pairs, axis=0) @ fitted.matrix.T
    assert np.allclose(between, np.diag(np.diag(between)))
    assert list(np.diag(between)) == sorted(np.diag(between), reverse=True)


def test_the_mean_is_that_of_people_and_lies_at_the_origin() -> None:
    x, who = uneven_population()
    fitted = population.fit(x, who, 2, 0.1)
    assert np.allclose(fitted.mean, np.mean([x[who == p].mean(axis=0) for p in range(12)], axis=0))
    assert np.allclose(fitted(fitted.mean), 0)
    assert np.allclose(fitted(x), (x - fitted.mean) @ fitted.matrix.T)


def test_what_an_attempt_lets_expect_is_nearer_to_the_enrolment_than_the_attempt_itself() -> None:
    spread = np.array([5.0, 3.0, 2.0, 1.0, 0.5])
    person = RNG.normal(size=(20_000, 5)) * spread
    attempt = person + RNG.normal(size=person.shape)
    drawn = population.expected(attempt, spread)
    least = spread**2 / (spread**2 + 1)
    assert np.allclose(((drawn - person) ** 2).mean(axis=0), least, rtol=0.05)
    assert np.allclose(((attempt - person) ** 2).mean(axis=0), 1, rtol=0.05)
    for other in (0.9, 1.1):
        assert np.all(((other * drawn - person) ** 2).mean(axis=0) > ((drawn - person) ** 2).mean(axis=0))


def test_guesswork_of_a_cube_is_what_the_formula_says_by_hand() -> None:
    # One coordinate of variance 4 in cells of 1: 0.5 log2(2 pi e 4) - 0 - 0.5 log2(pi) = 2.2214 bits.
    assert abs(guesswork_bits([4.0], 1.0) - 2.2214) < 1e-3
    assert abs(guesswork_bits([4.0] * 10, 1.0) - guesswork_bits([4.0] * 10, 2.0) - 10) < 1e-9


def test_a_typical_vector_has_the_coset_that_guesswork_says() -> None:
    """Where every coordinate lies one deviation out, the ellipsoid through it is that of the population's entropy."""
    spread = np.linspace(1.0, 4.0, 48)
    assert abs(coset_bits(spread, spread, 5.0) - guesswork_bits(spread**2, 5.0)) < 0.2
    assert coset_bits(0.5 * spread, spread, 5.0) == pytest.approx(coset_bits(spread, spread, 5.0) - 48)
    assert coset_bits(np.zeros(48), spread, 5.0) == -np.inf
