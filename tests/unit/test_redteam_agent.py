# SPDX-License-Identifier: Apache-2.0
"""Attacks on the running agent: its own process and sockets, on the demo's portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facelatch import parameters
from tools import fitting
from tools.dataset import Embedded
from tools.redteam import running
from tools.redteam.part import Job


@pytest.fixture
def job() -> Job:
    """A job without people: this attack brings its own face."""
    nobody = Embedded(np.zeros((0, 704), np.float32), np.array([], dtype=np.str_), ())
    return Job(Path(), nobody, fitting.Sources(fitting.Faces(Path(), nobody.embeddings, nobody.people)),
               parameters.read("standard"), quick=True)  # fmt: skip


def test_the_part_runs_and_finds_nothing_to_climb(job: Job) -> None:
    found = running.attack(job)
    climbing, duplicate, memory = (found.figures[name] for name in ("climbing", "duplicate", "memory"))
    assert isinstance(climbing, dict)
    assert isinstance(duplicate, dict)
    assert isinstance(memory, dict)
    assert climbing["owner_opens"]
    assert climbing["refused"] >= 3
    assert climbing["distinct_replies"] == 1
    assert duplicate == {"told_to_administrators": True, "names": False, "others_may_ask": False}
    assert memory["liveness"] == "not_evaluated"
    assert all(control.bites for control in found.controls)


def test_a_permutation_test_sees_a_difference_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(1)
    same = rng.normal(size=20)
    assert running.permuted(same[::2].tolist(), same[1::2].tolist(), seed=2) > 0.05
    assert running.permuted((same[::2] + 9).tolist(), same[1::2].tolist(), seed=2) < 0.01
