# SPDX-License-Identifier: Apache-2.0
"""The decoder against exhaustive search, and on the shipped lattice."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from facelatch import parameters
from facelatch.l2fe.decoder import Decoder
from tests.lattice_points import contains
from tools import leech, qary

RNG = np.random.default_rng(7)


Q = 11
X = qary.expand(b"small", 4, 2, Q)
BASIS = qary.plain_basis(X, Q)


def all_points_near_the_origin() -> leech.Integers:
    shifts = np.array(list(itertools.product((-22, -11, 0, 11), repeat=4)))
    secrets = itertools.product(range(Q), repeat=2)
    return np.concatenate([qary.encode(X, np.array(s), Q) + shifts for s in secrets])


def test_a_wide_beam_finds_the_nearest_point_as_exhaustive_search_does() -> None:
    points = all_points_near_the_origin()
    decoder = Decoder(BASIS, beam=256)
    targets = RNG.uniform(-6, 6, (50, 4))
    for target, row in zip(targets, decoder(targets, radius=100, limit=1), strict=True):
        assert row[0].distance == pytest.approx(np.linalg.norm(points - target, axis=1).min())
        assert np.linalg.norm(row[0].point - target) == pytest.approx(row[0].distance)


def test_a_beam_of_one_is_worse() -> None:
    """The control for the test above: it could fail."""
    targets = RNG.uniform(-6, 6, (200, 4))
    rounded = Decoder(BASIS, beam=1)(targets, radius=100, limit=1)
    best = Decoder(BASIS, beam=256)(targets, radius=100, limit=1)
    assert sum(a[0].distance > b[0].distance + 1e-9 for a, b in zip(rounded, best, strict=True)) > 10


def test_every_point_returned_is_of_the_lattice_and_inside_the_radius() -> None:
    p = parameters.read("standard")
    radius = p.accept_radius * p.scale
    targets = RNG.uniform(0, p.lattice.modulus, (40, p.k))
    found = [
        candidate
        for row in Decoder(p.lattice.basis, 64, p.lattice.copies)(targets, radius * 1.3, 2)
        for candidate in row
    ]
    assert found
    for candidate in found:
        assert candidate.distance <= radius * 1.3
        assert contains(p.lattice, candidate.point)


def test_batches_give_what_single_targets_give() -> None:
    p = parameters.read("standard")
    decoder = Decoder(p.lattice.basis, 64, p.lattice.copies)
    targets = RNG.normal(0, 0.15 * p.cell * p.scale, (37, p.k))
    together = decoder(targets, np.inf, 1)
    for target, row in zip(targets, together, strict=True):
        (alone,) = decoder(target[None], np.inf, 1)
        assert np.array_equal(alone[0].point, row[0].point)


def test_whoever_is_dropped_early_would_not_have_been_found() -> None:
    """One target alone is searched at the full radius at once; these lie about its edge, in each copy about as far."""
    p = parameters.read("standard")
    decoder = Decoder(p.lattice.basis, p.beam, p.lattice.copies)
    radius = p.accept_radius * p.scale
    shares = RNG.dirichlet(np.full(p.lattice.copies, 100.0), 60) ** 0.5
    noise = RNG.normal(size=(*shares.shape, len(p.lattice.basis)))
    noise *= radius * (shares * RNG.uniform(0.95, 1.02, (60, 1)) / np.linalg.norm(noise, axis=-1))[..., None]
    targets = np.stack([p.lattice.draw(RNG.bytes) for _ in noise]) + noise.reshape(60, p.k)
    together = decoder(targets, radius, 2)
    assert {bool(row) for row in together} == {True, False}
    for target, row in zip(targets, together, strict=True):
        (alone,) = decoder(target[None], radius, 2)
        assert [near.point.tolist() for near in row] == [near.point.tolist() for near in alone]
        assert [near.distance for near in row] == pytest.approx([near.distance for near in alone], abs=1e-9)


def test_nothing_is_found_beyond_the_radius() -> None:
    p = parameters.read("standard")
    target = np.zeros((1, p.k))
    target[0, 0] = 100.0
    assert Decoder(p.lattice.basis, 64, p.lattice.copies)(target, 99.0, 1) == [[]]
    assert len(Decoder(p.lattice.basis, 64, p.lattice.copies)(target, 101.0, 1)[0]) == 1


def test_small_noise_on_the_shipped_lattice_is_always_removed() -> None:
    p = parameters.read("standard")
    noise = RNG.normal(0, 0.13 * p.cell * p.scale, (200, p.k))
    for row in Decoder(p.lattice.basis, p.beam, p.lattice.copies)(noise, np.inf, 1):
        assert not row[0].point.any()


def test_copies_side_by_side_are_decoded_as_their_joint_lattice_is() -> None:
    """The two nearest points of the joint lattice, which are not always the nearest of each copy."""
    targets = RNG.uniform(-6, 6, (100, 8))
    side_by_side = np.kron(np.eye(2, dtype=np.int64), BASIS)
    joint = Decoder(side_by_side, beam=4096)(targets, 2.5, 2)
    parts = Decoder(BASIS, beam=256, copies=2)(targets, 2.5, 2)
    assert {len(row) for row in joint} == {0, 1, 2}
    for one, other in zip(joint, parts, strict=True):
        assert [near.distance for near in other] == pytest.approx([near.distance for near in one])


def test_a_target_whose_copies_are_each_inside_the_radius_is_not_when_they_are_not_together() -> None:
    target = np.full((1, 8), 0.3)
    assert len(Decoder(BASIS, 16, 2)(target, 0.7, 1)[0]) == 0
    assert len(Decoder(BASIS, 16, 2)(target, 0.9, 1)[0]) == 1
