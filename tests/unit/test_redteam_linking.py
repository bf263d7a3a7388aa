# SPDX-License-Identifier: Apache-2.0
"""Linking: the joint search finds what is near, D_sys is what its authors say, a card gives back what it holds."""

from __future__ import annotations

import numpy as np
import pytest

from facelatch import parameters
from facelatch.l2fe.strength import guesswork_bits
from tests import crowd
from tools.redteam import chains, enrolments, joint, lattices, linking, remnants, unlinkability
from tools.redteam.joint import Joint
from tools.redteam.linking import Victims
from tools.redteam.part import Job
from tools.redteam.search import Floats

pytest.importorskip("fpylll")

P = parameters.read("standard")


@pytest.fixture(scope="module")
def job() -> Job:
    """A small job on people who never were: 24 with 16 images each."""
    return crowd.job(24, 16, noise=0.3)


def people(count: int, k: int, noise: float, times: int = 2) -> Floats:
    """Enrolment vectors (count, times, k) with the set's spread, and so much variance about each person."""
    rng = np.random.default_rng(3)
    person = np.sqrt(P.spread[:k] ** 2 - noise) * rng.normal(size=(count, 1, k))
    found: Floats = person + np.sqrt(noise) * rng.normal(size=(count, times, k))
    return found


@pytest.mark.parametrize("times", [1, 2, 3])
def test_whitened_coordinates_are_independent_and_of_unit_deviation(times: int) -> None:
    k, scale, noise = 6, 40.0, 0.5
    turned = enrolments.rotations(times, k, np.random.default_rng(1))
    map_ = joint.whitening(turned, scale, P.spread[:k], noise)
    y = people(20000, k, noise, times)
    w = np.concatenate([scale * y[:, number] @ u.T for number, u in enumerate(turned)], axis=1)
    covariance = np.cov((w @ map_.T).T)
    assert np.abs(covariance - np.eye(times * k)).max() < 0.06


@pytest.mark.parametrize(("noise", "found"), [(0.001, True), (4.0, False)])
def test_two_records_give_both_faces_where_they_are_near(noise: float, found: bool) -> None:
    k = 24
    lattice, rng = lattices.leeches(k), np.random.default_rng(2)
    scale = lattice.side / P.cell
    turned = enrolments.rotations(2, k, rng)
    map_ = joint.whitening(turned, scale, P.spread[:k], noise)
    hidden = [
        [enrolments.hide(y, lattice.basis, scale, u, rng) for y, u in zip(pair, turned, strict=True)]
        for pair in people(8, k, noise)
    ]
    own = Joint(lattice.basis, map_, 20).nearest(np.array([np.concatenate([r.c for r in pair]) for pair in hidden]), 64)
    truth = np.array([np.concatenate([r.w for r in pair]) for pair in hidden]) @ map_.T
    hits = np.abs(own - truth).max(axis=1) < 1e-3
    assert hits.all() if found else not hits.any()


def test_points_are_listed_from_the_likeliest_on_and_the_true_one_is_among_them() -> None:
    k = 24
    lattice, rng = lattices.leeches(k), np.random.default_rng(4)
    scale = lattice.side / (2.5 * P.cell)
    (turned,) = enrolments.rotations(1, k, rng)
    record = enrolments.hide(people(1, k, 0.5)[0, 0], lattice.basis, scale, turned, rng)
    map_ = joint.whitening([turned], scale, P.spread[:k], 0.5)
    (listed,) = Joint(lattice.basis, map_, k).listed(record.c[None], 256, 64)
    lengths = np.linalg.norm(listed, axis=1)
    assert len(lengths) == 64
    assert np.all(np.diff(lengths) >= 0)
    assert np.any(np.abs(listed - map_ @ record.w).max(axis=1) < 1e-3)


def test_the_beam_is_estimated_as_those_it_finds_say() -> None:
    k = 24
    lattice, rng = lattices.leeches(k), np.random.default_rng(8)
    scale = lattice.side / P.cell
    turned = enrolments.rotations(2, k, rng)
    map_ = joint.whitening(turned, scale, P.spread[:k], 0.2)
    hidden = enrolments.hidden(people(80, k, 0.2), lattice, scale, turned, rng)
    attack = Joint(lattice.basis, map_, 20)
    truth = np.array([np.concatenate([r.w for r in pair]) for pair in hidden]) @ map_.T
    own = attack.nearest(np.array([np.concatenate([r.c for r in pair]) for pair in hidden]), 16)
    hits = np.abs(own - truth).max(axis=1) < 1e-3
    needed = attack.needed(truth)
    assert hits[needed < 2].mean() > 0.9
    assert hits[needed > 6].mean() < 0.1
    assert np.all(attack.needed(0.01 * truth) == 0)


def test_ambiguity_is_that_of_the_strength_estimate() -> None:
    lattice = lattices.leeches(24)
    scale = lattice.side / P.cell
    map_ = joint.whitening([np.eye(24)], scale, P.spread[:24], 0.5)
    found = joint.ambiguity(24, joint.log2_volume(lattice.basis, map_))
    assert found == pytest.approx(guesswork_bits(P.spread[:24] ** 2, P.cell))


def test_d_sys_is_nothing_for_equal_scores_and_one_for_those_apart() -> None:
    rng = np.random.default_rng(5)
    same = unlinkability.linkage(rng.normal(size=400), rng.normal(size=400), seed=1)
    assert same.d_sys <= 1.5 * same.by_chance
    assert same.by_chance < 0.2
    apart = unlinkability.linkage(rng.normal(size=400) + 20, rng.normal(size=400), seed=1)
    assert apart.d_sys == pytest.approx(1)
    # Two bins: three of four mated scores above the middle, one of four others: LR = 3, D = 1/2.
    mated, other = np.array([1.0, 2, 3, -1]), np.array([-1.0, -2, -3, 1])
    assert unlinkability.linkage(mated, other, seed=1).d_sys == pytest.approx(0.5 * 3 / 4)


def test_records_under_one_rotation_are_linked_by_one_decode(job: Job) -> None:
    victims = Victims(people(40, P.k, 0.5), 0.5)
    assert linking.one_rotation(job, victims, np.random.default_rng(6)) > 0.9
    strangers = np.array([[one[0], one[1]] for one in victims.strangers])
    apart = Victims(strangers, 0.5)
    assert linking.one_rotation(job, apart, np.random.default_rng(6)) < 0.6


def test_an_image_serves_one_enrolment(job: Job) -> None:
    found = enrolments.several(job, 3)
    assert found.shape == (24, 3, P.k)
    assert enrolments.several(job, 4).shape == (0, 4, P.k)


@pytest.mark.parametrize("mounted", [True, False])
def test_a_card_gives_back_every_version_to_the_device_key_alone(
    job: Job, monkeypatch: pytest.MonkeyPatch, mounted: bool
) -> None:
    if not mounted:
        monkeypatch.setattr(remnants, "_mounted", lambda *_: False)
    found = remnants.carve(job, 4, people(1, P.k, 0.5)[:, 0])
    assert found.figures["written"] == 5
    # Of a real file system it is for its allocator to say how many are left.
    assert found.figures["carved"] == 5 or found.figures["medium"] == "ext4"
    assert found.figures["rotations"] == 1
    assert found.tables[0].rows[0][-1] == "0"
    assert found.controls[0].bites


def test_what_refreshes_tell_is_where_the_looks_were(job: Job) -> None:
    told = chains._chains(job, 6, 0.5)
    assert len(told) == 24
    assert all(one.steps > 0 for one in told)
    # Towards the looks, and so towards the person: what the enrolment held besides is the opposite.
    assert np.mean([np.linalg.norm(one.told) for one in told]) > 0.5
    still = chains._chains(job, 0, 0.5)
    assert all(one.steps == 0 and not one.told.any() for one in still)


def test_the_part_runs_and_its_controls_give_way(job: Job) -> None:
    found = linking.attack(job)
    assert all(control.bites for control in found.controls)
    assert len(found.controls) == 3
    cost = found.figures["cost_log2"]
    assert isinstance(cost, dict)
    assert cost["search_argon2id_runs"] == pytest.approx(P.measured["guesswork_bits"], abs=0.1)
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)
