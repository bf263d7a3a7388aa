# SPDX-License-Identifier: Apache-2.0
"""False accepts and false rejects on real photographs, by people the projection was not fitted to.

Needs the development sets; skipped by name where they are not. Everything is decoded for real.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from facelatch import parameters
from facelatch.l2fe import population
from tools import dataset, fitting, trials

ROOT = Path(__file__).parents[2]
ARCHIVES = ROOT.parent / "shared" / "data"
IMPOSTOR_TRIALS = 100_000
DECODED_ANYWAY = 10_000
BATCH = 16
# Gen rounds w to whole lattice units, which moves a target by this much of the radius at most.
ROUNDING = 1.02
SEED = 2

P = parameters.read("standard")


@pytest.fixture(scope="module")
def folds() -> Sequence[trials.Fold]:
    data = ROOT / "build" / "data"
    for name in ("lfw-dev", "nuaa-dev", "extyaleb-dev"):
        if not (ARCHIVES / f"{name}.tar").is_file():
            pytest.skip(f"{name} is not here")
        if not (data / name).is_dir():
            with tarfile.open(ARCHIVES / f"{name}.tar") as archive:
                archive.extractall(data, filter="data")
    # The parameter set was chosen on the split of seed 1; another split keeps that choice from flattering itself.
    protocol = trials.Protocol(seed=SEED, repeats=8)
    # People with a single image would add to the mean only, and half a minute to every run of the tests.
    embedded = dataset.embed(data / "lfw-dev", at_least=2)
    changes = data / "nuaa-dev" / "live", data / "extyaleb-dev"
    sources = fitting.read(data / "lfw-dev", changes, at_least=2)
    return trials.cross_fit(sources, embedded, protocol, P.k)


def test_owners_are_let_in(folds: Sequence[trials.Fold]) -> None:
    random = np.random.default_rng(SEED).bytes
    people = [trial.person for fold in folds for trial in fold.trials]
    accepted = [ok for fold in folds for ok in trials.genuine(trials.under(P, fold.projection), fold.trials, random)]
    frr = 1 - float(np.mean(accepted))
    low, high = trials.people_bootstrap(people, [not ok for ok in accepted], SEED)
    print(f"FRR {frr:.2%} ({low:.2%} to {high:.2%}) of {len(accepted)} attempts by {len(set(people))} people")
    assert len(set(people)) > 100
    assert frr <= 0.10


def test_no_impostor_is_let_in(folds: Sequence[trials.Fold]) -> None:
    """Acceptance means the true s, so an attempt beyond the accept radius cannot succeed; the next test shows that."""
    spread = np.sqrt(trials.enrolment_variances(folds))
    apart = np.concatenate([trials.distances(fold, spread)[trials.different_people(fold)] for fold in folds])
    print(f"{len(apart)} impostor trials, the nearest {apart.min():.2f}, accept radius {P.accept_radius:.2f}")
    assert len(apart) >= IMPOSTOR_TRIALS
    # Those inside would have to be decoded; that there are none makes the count zero at once.
    assert not np.any(apart <= P.accept_radius * ROUNDING)


def test_impostors_never_decode_to_the_true_s(folds: Sequence[trials.Fold]) -> None:
    rng = np.random.default_rng(SEED)
    results: list[bool] = []
    for fold in folds:
        extractor = trials.under(P, fold.projection)
        for _ in range(DECODED_ANYWAY // (BATCH * len(folds)) + 1):
            attempt = fold.trials[rng.integers(len(fold.trials))]
            others = [trial for trial in fold.trials if trial.person != attempt.person]
            enrolled = [others[i] for i in rng.integers(0, len(others), BATCH)]
            results += trials.opened(extractor, enrolled, attempt, rng.bytes)
    assert len(results) >= DECODED_ANYWAY
    assert not any(results)


def test_a_projection_that_maps_all_faces_together_lets_impostors_in(folds: Sequence[trials.Fold]) -> None:
    """The control: what the two tests above count is not zero by construction."""
    fold = folds[0]
    flat = population.Projection(fold.projection.mean, fold.projection.matrix * 1e-3)
    attempt, *others = fold.trials
    enrolled = [trial for trial in others if trial.person != attempt.person][:BATCH]
    assert all(trials.opened(trials.under(P, flat), enrolled, attempt, np.random.default_rng(SEED).bytes))
