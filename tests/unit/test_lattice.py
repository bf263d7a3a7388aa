# SPDX-License-Identifier: Apache-2.0
"""The lattice, its plain basis, and the check that a basis generates it and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from facelatch.l2fe import lattice

K, N, Q = 8, 3, 257
SEED = b"test"


def test_expansion_is_deterministic_and_in_range() -> None:
    x = lattice.expand(SEED, K, N, Q)
    assert x.shape == (K - N, N)
    assert x.min() >= 0
    assert x.max() < Q
    assert np.array_equal(x, lattice.expand(SEED, K, N, Q))
    assert not np.array_equal(x, lattice.expand(b"other", K, N, Q))


def test_expansion_is_uniform() -> None:
    values = lattice.expand(SEED, 200, 100, 7).ravel()
    counts = np.bincount(values, minlength=7)
    # 10000 draws over 7 values: chi squared with 6 degrees of freedom stays under 35 but once in 200000.
    assert ((counts - len(values) / 7) ** 2 / (len(values) / 7)).sum() < 35


def test_plain_basis_generates_the_lattice() -> None:
    x = lattice.expand(SEED, K, N, Q)
    assert lattice.generates(lattice.plain_basis(x, Q), x, Q)


def test_points_of_the_lattice_are_combinations_of_the_basis() -> None:
    x = lattice.expand(SEED, K, N, Q)
    point = lattice.encode(x, np.array([5, 100, 256]), Q)
    coefficients = np.linalg.solve(lattice.plain_basis(x, Q).T.astype(float), point.astype(float))
    assert np.abs(coefficients - np.rint(coefficients)).max() < 1e-9


@pytest.mark.parametrize("factor", [0, 2, -3])
def test_a_sublattice_or_a_degenerate_basis_is_refused(factor: int) -> None:
    x = lattice.expand(SEED, K, N, Q)
    basis = lattice.plain_basis(x, Q)
    basis[1] *= factor
    assert not lattice.generates(basis, x, Q)


def test_a_vector_outside_the_lattice_is_refused() -> None:
    x = lattice.expand(SEED, K, N, Q)
    basis = lattice.plain_basis(x, Q)
    basis[0, K - 1] += 1
    assert not lattice.generates(basis, x, Q)


def test_a_basis_of_another_shape_is_refused() -> None:
    x = lattice.expand(SEED, K, N, Q)
    assert not lattice.generates(np.eye(3, dtype=np.int64), x, Q)
