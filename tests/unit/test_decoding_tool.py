# SPDX-License-Identifier: Apache-2.0
"""The measuring of the decoder: the lattices, bounds and bookkeeping that its figures rest on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facelatch.l2fe import decoder
from facelatch.l2fe.decoder import Decoder
from tools import bases, leech, qary
from tools.decoding import faces, noise
from tools.decoding.__main__ import main
from tools.decoding.studies import level

Q = 11
X = qary.expand(b"small", 4, 2, Q)
BASIS = qary.plain_basis(X, Q)
SIDE = float(Q**0.5)


def nearest_other(noise_vectors: noise.Floats) -> noise.Floats:
    """Distance to the nearest point but 0 of the toy lattice, by trying them all."""
    # Coordinates from -11 to 10: no noise here is longer than half of that.
    shifts = np.array(list(itertools.product((-Q, 0), repeat=4)))
    codes = np.array([qary.encode(X, np.array(s), Q) for s in itertools.product(range(Q), repeat=2)])
    points = (codes[:, None] + shifts).reshape(-1, 4)
    points = points[points.any(axis=1)]
    return np.array([np.linalg.norm(points - vector, axis=1).min() for vector in noise_vectors])


def signs(count: int) -> leech.Integers:
    return 1 - 2 * (np.arange(1 << count)[:, None] >> np.arange(count) & 1)


def test_the_golay_code_has_its_weights() -> None:
    weights = np.bincount(leech.golay_words().sum(axis=1))
    assert {weight: count for weight, count in enumerate(weights.tolist()) if count} == {
        0: 1,
        8: 759,
        12: 2576,
        16: 759,
        24: 1,
    }


def test_the_basis_is_of_the_leech_lattice_all_of_it() -> None:
    basis = leech.basis()
    assert leech.contains(basis).all()
    _, log_determinant = np.linalg.slogdet(basis.astype(np.float64))
    assert log_determinant == pytest.approx(leech.DIMENSION * np.log(leech.SIDE))


def test_196560_vectors_of_squared_norm_32_are_in_it() -> None:
    words = leech.golay_words()
    octads = [np.flatnonzero(word) for word in words[words.sum(axis=1) == 8]]
    even_signs = signs(8)[signs(8).prod(axis=1) == 1]
    twos = np.zeros((len(octads), len(even_signs), 24), dtype=np.int64)
    for row, octad in zip(twos, octads, strict=True):
        row[:, octad] = 2 * even_signs
    # (-3, 1, ..., 1) at each place, its signs changed on each word of the code.
    threes = (np.ones((24, 24), dtype=np.int64) - 4 * np.eye(24, dtype=np.int64))[:, None] * (1 - 2 * words)
    fours = np.array(
        [
            [4 * s if i == a else 4 * t if i == b else 0 for i in range(24)]
            for a, b in itertools.combinations(range(24), 2)
            for s, t in itertools.product((1, -1), repeat=2)
        ]
    )
    shapes = [twos.reshape(-1, 24), threes.reshape(-1, 24), fours]
    assert [len(shape) for shape in shapes] == [97152, 98304, 1104]
    for shape in shapes:
        assert np.all((shape**2).sum(axis=1) == 32)
        assert leech.contains(shape).all()


def test_shorter_vectors_are_not() -> None:
    """Squared norms 8, 16 and 24 of every shape that whole numbers of one parity allow."""
    place = np.eye(24, dtype=np.int64)
    few_twos = np.array([[2] * count + [0] * (24 - count) for count in range(1, 7)])
    mixed = 4 * place[0] + 2 * place[1:3].sum(axis=0)
    assert not leech.contains(np.concatenate([few_twos, 4 * place, mixed[None]])).any()
    assert not leech.contains(1 - 2 * leech.golay_words()).any()


@pytest.mark.parametrize(("k", "sigma"), [(2, 0.3), (4, 0.25), (8, 0.2)])
def test_the_sphere_bound_is_what_noise_does_to_a_ball(k: int, sigma: float) -> None:
    drawn = np.random.default_rng(1).normal(0, sigma, (200_000, k))
    outside = np.mean(np.linalg.norm(drawn, axis=1) > noise.ball_radius(k))
    assert noise.sphere_bound(sigma, k) == pytest.approx(outside, abs=0.004)
    assert noise.sphere_level(noise.sphere_bound(sigma, k), k) == pytest.approx(sigma)


def test_no_lattice_beats_the_sphere_bound() -> None:
    sigma = 0.2
    drawn = np.random.default_rng(2).normal(0, sigma * SIDE, (2000, 4))
    failed = np.mean(nearest_other(drawn) < np.linalg.norm(drawn, axis=1))
    assert failed > noise.sphere_bound(sigma, 4)


def test_errors_are_told_apart_as_exhaustive_search_tells_them() -> None:
    drawn = np.random.default_rng(3).normal(0, 0.25 * SIDE, (400, 4))
    unavoidable = nearest_other(drawn) < np.linalg.norm(drawn, axis=1)
    narrow, wide = (noise.split(Decoder(BASIS, beam), drawn) for beam in (1, 256))
    assert np.array_equal(wide.nearer, unavoidable)
    assert not wide.farther.any()
    assert np.all(unavoidable[narrow.nearer])
    assert not np.any(narrow.nearer & narrow.farther)
    assert np.count_nonzero(narrow.farther & ~unavoidable) > 10


def test_noise_borne_by_whole_numbers_is_half_a_step_in_the_worst_coordinate() -> None:
    directions = np.random.default_rng(4).normal(size=(100, 6)) * 2
    removes = noise.removal(Decoder(np.eye(6, dtype=np.int64), 8), 1.0)
    expected = np.clip(0.5 / np.abs(directions).max(axis=1), noise.LEAST, noise.MOST)
    assert noise.borne(removes, directions) == pytest.approx(expected, abs=0.001)


def test_a_list_forgives_what_a_single_answer_does_not() -> None:
    drawn = np.random.default_rng(5).normal(0, 0.35, (400, 4))
    one, two = (noise.removal(Decoder(BASIS, 256), SIDE, best)(drawn) for best in (1, 2))
    assert np.all(two[one])
    assert np.count_nonzero(two) > np.count_nonzero(one)


def test_two_copies_need_both_halves() -> None:
    removes = noise.every(noise.removal(Decoder(np.eye(2, dtype=np.int64), 4), 1.0), 2)
    assert removes(np.array([[0.1, 0, 0.2, 0], [0.9, 0, 0, 0], [0, 0, 0, 0.9]])).tolist() == [True, False, False]


def test_the_number_of_children_is_put_back() -> None:
    shipped = decoder.CHILDREN, decoder._CHILDREN_STEPS.tolist()
    with noise.children(6):
        assert decoder.CHILDREN == 6
        assert decoder._CHILDREN_STEPS.tolist() == [0, 1, -1, 2, -2, 3]
    assert shipped == (decoder.CHILDREN, decoder._CHILDREN_STEPS.tolist())
    with noise.children(shipped[0]):
        assert decoder._CHILDREN_STEPS.tolist() == shipped[1]


def test_owners_are_drawn_again_whole() -> None:
    """Ten copies of each value tell nothing more than one."""
    values = np.random.default_rng(6).normal(size=50)
    ones = faces.interval(np.arange(50), lambda rows: float(values[rows].mean()), seed=1)
    tens = faces.interval(np.repeat(np.arange(50), 10), lambda rows: float(values.repeat(10)[rows].mean()), seed=1)
    assert tens == pytest.approx(ones)
    assert ones[0] < values.mean() < ones[1]


def test_the_radius_bounds_the_noise_borne() -> None:
    directions = np.full((2, 48), [[1.0], [0.1]])
    borne = faces.within_radius(np.array([0.3, 0.3]), directions)
    assert borne[0] * np.linalg.norm(directions[0]) == pytest.approx(
        noise.ball_radius(10**6) / 1000 * 48**0.5, rel=1e-4
    )
    assert borne[1] == 0.3


def test_rotations_keep_lengths() -> None:
    turned = faces.rotation(8, np.random.default_rng(7))
    assert turned @ turned.T == pytest.approx(np.eye(8), abs=1e-12)


def test_less_noise_borne_costs_bits() -> None:
    assert noise.bits(2**0.5, 48) == pytest.approx(24)
    assert noise.decibels(10) == pytest.approx(20)
    assert level(np.arange(101) / 100) == pytest.approx(0.05)


def test_reduced_bases_are_of_the_same_lattice() -> None:
    pytest.importorskip("fpylll")
    reduced, plain = (basis.astype(np.float64) for basis in (bases.reduced(BASIS, 4), BASIS))
    change = reduced @ np.linalg.inv(plain)
    assert change == pytest.approx(np.rint(change), abs=1e-9)
    assert abs(np.linalg.det(change)) == pytest.approx(1)
    assert np.linalg.norm(reduced, axis=1).max() < np.linalg.norm(plain, axis=1).max()


def test_enumeration_agrees_with_trying_all_points() -> None:
    pytest.importorskip("fpylll")
    drawn = np.random.default_rng(8).normal(0, 0.25, (200, 4))
    expected = nearest_other(drawn * SIDE) > np.linalg.norm(drawn * SIDE, axis=1)
    assert np.array_equal(bases.exhaustive(BASIS, SIDE)(drawn), expected)


def test_the_command_prints_and_writes_its_tables(tmp_path: Path) -> None:
    output = tmp_path / "tables.json"
    result = CliRunner().invoke(main, ["--only", "errors", "--trials", "2", "--json", str(output)])
    assert result.exit_code == 0, result.output
    assert "| sphere bound |" in result.output
    table = json.loads(output.read_bytes())["errors"]
    assert all(len(row) == len(table["columns"]) for row in table["rows"])
    assert CliRunner().invoke(main, ["--only", "else"]).exit_code == 2
