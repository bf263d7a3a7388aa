# SPDX-License-Identifier: Apache-2.0
"""Attacks on keys, enrolments and refreshes: what is refused is refused, and each control gives way."""

from __future__ import annotations

import numpy as np
import pytest

from facelatch import parameters
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from tests import crowd
from tools.redteam import impostors, keys, records_at_rest
from tools.redteam.madeup import Sphere
from tools.redteam.part import Job

P = parameters.read("standard")


@pytest.fixture(scope="module")
def job() -> Job:
    """A small job on people who never were: 20 with 9 images each, steady enough to enrol."""
    return crowd.job(20, 9, noise=0.1)


def test_an_embedding_projects_where_it_is_asked_to() -> None:
    y = P.spread * np.random.default_rng(1).normal(size=P.k)
    x = Sphere(P).at(y)
    assert np.linalg.norm(x) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(P.projection(x) - y) < 0.01


def test_the_part_runs_and_its_controls_give_way(job: Job) -> None:
    found = keys.attack(job)
    assert [control.bites for control in found.controls] == [True] * 4
    gives_way = {name for name, value in found.figures.items() if value is True}
    assert gives_way == {
        "old_generation_opens",
        "removed_user_is_back",
        "lockout_is_forgotten",
        "shrunk_passes_the_checks",
    }
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)


def test_a_record_that_is_not_touched_opens(job: Job) -> None:
    """Else the refusals of the exchanged ones would show nothing."""
    p = records_at_rest.cheap(job.parameters)
    extractor = Extractor(p)
    x = Sphere(p).at(p.spread * np.random.default_rng(2).normal(size=p.k))
    with records_at_rest.roster(extractor) as (people, _):
        record = people.make("anna", x, administrator=False)
    assert records_at_rest.unlocks(extractor, record, x)
    assert not records_at_rest.unlocks(extractor, record, x, records_at_rest.OTHER_KEY)


def test_a_drifting_picture_is_stopped_by_the_number_of_steps_and_only_by_it() -> None:
    extractor, sphere = Extractor(P), Sphere(P)
    bounded, free = (
        impostors._come(extractor, sphere, 2.0, 40, [1, 2], bounded=bounded, drifting=True) for bounded in (True, False)
    )
    assert bounded.moved <= refresh.MAX_STEPS * refresh.MAX_STEP + 1.5
    assert bounded.taken is None
    assert bounded.owner
    assert free.taken is not None
    assert not free.owner
