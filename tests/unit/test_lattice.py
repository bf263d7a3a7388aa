# SPDX-License-Identifier: Apache-2.0
"""Lattices that hold Q Z^k: what makes one, and that its points modulo Q are drawn alike."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from facelatch.l2fe.lattice import Lattice
from tests.lattice_points import contains

# D4, twice the checkerboard's cell in each coordinate: 4 Z^4 and more, determinant 2 * 2^4.
D4 = 2 * np.array([[1, 1, 0, 0], [1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1]], dtype=np.int64)


def test_dimension_side_and_key_of_copies() -> None:
    lattice = Lattice(D4, copies=3, modulus=16)
    assert lattice.dimension == 12
    assert lattice.side == pytest.approx(32**0.25)
    assert lattice.key_bits == pytest.approx(12 * math.log2(16 / 32**0.25))


@pytest.mark.parametrize(("modulus", "whole"), [(1, False), (2, False), (4, True), (16, True)])
def test_it_must_hold_the_modulus(modulus: int, whole: bool) -> None:
    assert Lattice(D4, 1, modulus).is_whole_modulo() is whole


def test_a_degenerate_basis_holds_nothing() -> None:
    basis = D4.copy()
    basis[3] = basis[0] + basis[1]
    assert not Lattice(basis, 1, 16).is_whole_modulo()
    assert not Lattice(10**4 * basis + np.eye(4, dtype=np.int64), 1, 16).is_whole_modulo()
    # All whole points are in it, but products with its inverse are beyond what is counted exactly.
    assert not Lattice(np.array([[1, 2**45], [0, 1]]), 1, 16).is_whole_modulo()


@pytest.mark.parametrize(("modulus", "counted"), [(2**40, True), (2**41, False)])
def test_an_inverse_is_believed_up_to_the_size_that_is_counted_exactly(modulus: int, counted: bool) -> None:
    assert Lattice(np.eye(2, dtype=np.int64), 1, modulus).is_whole_modulo() is counted


def test_points_drawn_are_of_the_lattice_and_all_alike() -> None:
    lattice = Lattice(D4, copies=1, modulus=4)
    everything = np.array(list(itertools.product(range(4), repeat=4)))
    there = {tuple(point) for point in everything[contains(lattice, everything)].tolist()}
    assert len(there) == 4**4 // 32
    random = np.random.default_rng(1)
    drawn = [tuple(lattice.draw(random.bytes).tolist()) for _ in range(4000)]
    assert set(drawn) == there
    counts = np.array([drawn.count(point) for point in there])
    # Chi squared with 7 degrees of freedom is over 36 once in 150,000.
    assert ((counts - 500) ** 2 / 500).sum() < 36


def test_copies_are_drawn_apart() -> None:
    lattice = Lattice(D4, copies=2, modulus=16)
    random = np.random.default_rng(2)
    points = np.array([lattice.draw(random.bytes) for _ in range(200)])
    assert points.shape == (200, 8)
    assert contains(lattice, points).all()
    assert np.any(points[:, :4] != points[:, 4:])


def test_what_is_beside_the_lattice_is_not_in_it() -> None:
    lattice = Lattice(D4, copies=2, modulus=16)
    point = lattice.draw(np.random.default_rng(3).bytes)
    for place in range(8):
        moved = point.copy()
        moved[place] += 1
        assert not contains(lattice, moved)
