# SPDX-License-Identifier: Apache-2.0
"""The search attack: it finds just the points that come first, and would show structure where there is some."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facelatch import parameters
from facelatch.l2fe.strength import coset_bits, guesswork_bits
from tests.crowd import crowd
from tools import dataset, fitting, leech, qary
from tools.redteam import lattices, ranks, records, search
from tools.redteam.__main__ import ASIDE, main
from tools.redteam.lattices import Lattice
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.records import Population
from tools.redteam.search import Leak, Search

pytest.importorskip("fpylll")

Q = 11
TOY = Lattice("toy", qary.plain_basis(qary.expand(b"small", 4, 2, Q), Q))
WHOLE = (1.0,)


def population(spread: Sequence[float], count: int, seed: int = 1) -> Population:
    deviations = np.array(spread)
    return Population("toy", deviations * np.random.default_rng(seed).normal(size=(count, len(spread))), deviations)


def without_rotation(leak: Leak, point: leech.Integers, y: search.Floats) -> Leak:
    """The same record, had Gen not rotated."""
    w = np.rint(leak.scale * y).astype(np.int64)
    return Leak(point + w, np.eye(len(y)), leak.scale, leak.spread)


def test_it_counts_the_points_that_trying_all_of_them_finds() -> None:
    people = population((0.9, 0.7, 0.6, 0.5), 30)
    codes = np.array(
        [qary.encode(qary.expand(b"small", 4, 2, Q), np.array(s), Q) for s in itertools.product(range(Q), repeat=2)]
    )
    shifts = Q * np.array(list(itertools.product(range(-4, 5), repeat=4)))
    points = (codes[:, None] + shifts).reshape(-1, 4)
    counts = []
    for index in range(len(people.vectors)):
        leak, reach = ranks.record(TOY, people, index, 0.8, (2,))
        # Brought near 0, the coset is tried out to 40 steps every way: far beyond the reach of any face here.
        near = leak.c % Q
        lengths = np.linalg.norm((near - points) @ leak.whitening.T, axis=1)
        expected = np.count_nonzero(lengths < reach * (1 - 1e-6))
        assert np.any(np.isclose(lengths, reach))
        assert Search(TOY.basis, leak).ahead(reach, WHOLE).points == expected
        counts.append(expected)
    assert min(counts) == 0
    assert max(counts) > 50


def test_the_count_is_the_same_for_every_representative_and_basis() -> None:
    people = population((0.9, 0.7, 0.6, 0.5), 10)
    other = np.array([[1, 0, 0, 0], [3, 1, 0, 0], [-2, 5, 1, 0], [1, 1, 1, 1]]) @ TOY.basis
    for index in range(len(people.vectors)):
        leak, reach = ranks.record(TOY, people, index, 0.8, (2,))
        moved = Leak(leak.c % Q, leak.rotation, leak.scale, leak.spread)
        first = Search(TOY.basis, leak).ahead(reach, WHOLE).points
        assert Search(other, moved).ahead(reach, WHOLE).points == first


def test_a_face_within_the_cell_is_the_first_guess() -> None:
    """Were all faces nearly the same, the record would protect nothing, and the attack must show it."""
    people = population([0.02] * 24, 5)
    found = ranks.attack(lattices.leeches(24), people, 1.0, (3,))
    assert found.tries.tolist() == [0] * 5
    assert not found.capped.any()


def test_it_sees_structure_that_no_rotation_hides() -> None:
    """Half of the coordinates wide, half narrow, on whole numbers: unrotated, the narrow half is known beforehand."""
    people = population([6.0] * 4 + [0.05] * 4, 12)
    cubic = lattices.cubic(8)
    hidden, bare, volume = [], [], []
    for index, y in enumerate(people.vectors):
        leak, reach = ranks.record(cubic, people, index, 1.0, (4,))
        hidden.append(Search(cubic.basis, leak).ahead(reach, WHOLE).points)
        open_ = without_rotation(leak, np.zeros(8, dtype=np.int64), y)
        bare.append(Search(cubic.basis, open_).ahead(reach, WHOLE).points)
        volume.append(coset_bits(y, people.spread, 1.0))
    assert abs(np.median(np.log2(1 + np.array(hidden)) - volume)) < 1.5
    assert np.median(np.log2(1 + np.array(bare)) - volume) > 4


@pytest.mark.parametrize("share", [0.1, 0.5, search.NEARLY_ALL])
def test_a_part_of_the_ball_tells_the_number_in_all_of_it(share: float) -> None:
    people = population([1.0] * 24, 20)
    leeches = lattices.leeches(24)
    bounds, kept = search.pruning(24, share)
    assert kept == pytest.approx(share, rel=0.01)
    assert np.all(np.diff(bounds) <= 0)
    ratios = []
    for index in range(len(people.vectors)):
        leak, reach = ranks.record(leeches, people, index, people.cell(7), (5,))
        attack = Search(leeches.basis, leak)
        whole, part = attack.ahead(reach, WHOLE), attack.ahead(reach, (share,))
        assert part.points * kept <= whole.points
        if whole.points > 200:
            ratios.append(part.points / whole.points)
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_a_search_of_too_many_points_is_given_up_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST", 50)
    people = Population("one each way", np.ones((1, 24)), np.ones(24))
    leeches = lattices.leeches(24)
    leak, reach = ranks.record(leeches, people, 0, people.cell(15), (6,))
    found = Search(leeches.basis, leak).ahead(reach, WHOLE)
    assert found.capped
    assert found.points == 50


def test_the_cell_is_the_one_that_the_estimate_is_for() -> None:
    people = records.synthetic(parameters.read("standard"), 48, 2000, 1)
    assert guesswork_bits(people.spread**2, people.cell(9)) == pytest.approx(9)
    assert people.vectors.std(axis=0) == pytest.approx(people.spread, rel=0.1)


def test_faces_are_projected_by_what_others_taught() -> None:
    embedded = crowd()
    people = records.real(fitting.Sources(fitting.faces(Path(), embedded)), embedded, 4)
    assert people.vectors.shape == (40, 4)
    assert np.mean((people.vectors / people.spread) ** 2) == pytest.approx(1, abs=0.35)


def test_lattices_are_what_they_are_called() -> None:
    two = lattices.leeches(48)
    multiple = round(two.side / leech.SIDE)
    assert not np.any(two.basis[:24, 24:])
    for half in (two.basis[:24, :24], two.basis[24:, 24:]):
        assert leech.contains(half // multiple).all()
        assert not np.any(half % multiple)
    sides = [tried(k).side for tried in (lattices.leeches, lattices.q_ary, lattices.cubic) for k in (24, 48)]
    assert sides == pytest.approx([lattices.Q**0.5] * 6, rel=0.01)


def test_chances_of_the_estimate() -> None:
    assert ranks.chance(np.array([-20.0, 0.0, 9.0]), 1) == pytest.approx([1, np.exp(-1), 0], abs=1e-5)
    assert ranks.chance(np.array([4.0, 6.0]), 32).tolist() == [1, 0]


def test_the_command_prints_and_writes_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "embed", lambda *_, **__: crowd())
    output = tmp_path / "figures.json"
    options = [
        str(tmp_path),
        "--only",
        "lattices",
        "--quick",
        "--json",
        str(output),
        "--report",
        str(tmp_path / "page"),
    ]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert "| q-ary |" in result.output
    tables = json.loads(output.read_bytes())["lattices"]["tables"]
    assert [row[2] for row in tables[0][2:]] == ["cubic", "Leech", "q-ary"]
    assert [row[0] for row in tables[1][2:]] == ["cubic", "Leech", "q-ary"]
    assert all(len(row) == len(columns) for _, columns, *rows in tables for row in rows)
    assert "q-ary" in (tmp_path / "page" / "index.html").read_text()


def _give(outcome: Outcome, _job: Job) -> Outcome:
    return outcome


def test_a_control_that_holds_is_told_and_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "embed", lambda *_, **__: crowd())
    for bites in (True, False):
        found = Outcome({}, controls=[Control("no rotation", bites)])
        monkeypatch.setitem(ASIDE, "lattices", functools.partial(_give, found))
        result = CliRunner().invoke(main, [str(tmp_path), "--only", "lattices"])
        assert result.exit_code == (0 if bites else 1)
        assert ("control failed: no rotation held" in result.output) != bites


def test_nobody_attacked_is_known_to_the_attacker(tmp_path: Path) -> None:
    data = crowd(size=96)
    sources = fitting.Sources(fitting.faces(tmp_path, data))
    split = Job(tmp_path, data, sources, parameters.read("standard")).split
    targets, known = set(split.targets.people.tolist()), set(split.known.people.tolist())
    assert len(targets) == 13
    assert len(known) == 27
    assert not targets & known
    assert np.array_equal(
        split.parameters.projection.matrix, sources.without(tmp_path.resolve(), targets).fit(72).matrix
    )


def test_bad_input_is_told(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, [str(tmp_path), "--only", "else"]).exit_code == 2
    assert CliRunner().invoke(main, [str(tmp_path / "nothing")]).exit_code == 2
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 2
    assert "error:" in result.output
