# SPDX-License-Identifier: Apache-2.0
"""The trials of an evaluation: who is enrolled from what, decisions as the daemon's, and what needs no decoding."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from facelatch import parameters
from facelatch.daemon.attempts import LOOKS, Attempt, verify
from facelatch.face.encoder import unit
from facelatch.face.path import Look
from facelatch.l2fe.extractor import Candidate, Extractor, Sketch
from facelatch.l2fe.population import Projection
from facelatch.l2fe.strength import coset_bits
from tests import faces
from tools import fitting, trials
from tools.dataset import DatasetError, Embedded
from tools.evaluate import curve, lock, measure, protocol, refreshing, strength
from tools.evaluate.protocol import Protocol
from tools.evaluate.stats import per_person

P = parameters.read("standard")
SPLIT = Protocol(sessions=False, enrol=5, probe=3, repeats=4, seed=1)
SESSIONS = Protocol(sessions=True, enrol=4, probe=3, repeats=2, seed=1)


def data(folders: dict[str, int], noise: float = 2.0) -> Embedded:
    """Embeddings of imaginary people: the same person in every folder named alike up to the session."""
    rng = np.random.default_rng(7)
    rows, people = [], []
    for folder, count in folders.items():
        seed = hashlib.sha256(folder.rpartition("-")[0].encode() or folder.encode()).digest()
        x = faces.someone(P, np.random.default_rng(list(seed)))
        rows += [faces.moved(P, x, noise, rng) for _ in range(count)]
        people += [folder] * count
    return Embedded(np.array(rows, dtype=np.float32), np.array(people, dtype=np.str_), ())


def group(embedded: Embedded, chosen: Protocol) -> list[measure.Group]:
    return measure.group(embedded, chosen, P)


def test_an_image_serves_once_and_everyone_with_too_few_is_left_out() -> None:
    drawn = protocol.draw(data({"anna": 8, "few": 7, "otto": 12}), SPLIT, np.random.default_rng(1))
    assert drawn.people == {"anna", "otto"}
    assert len(drawn.genuine) == len(drawn.enrolments) == len(drawn.attempts) == 8
    one = Embedded(np.eye(8, len(P.projection.mean), dtype=np.float32), np.array(["anna"] * 8), ())
    for enrolment, attempt in measure.pairs(protocol.draw(one, SPLIT, np.random.default_rng(1))):
        assert np.count_nonzero(enrolment.embedding) == 5
        assert np.count_nonzero(attempt.looks[-1]) == 3
        assert float(enrolment.embedding @ attempt.looks[-1]) == 0


def test_draws_are_repeatable_and_follow_the_seed() -> None:
    embedded = data({"anna": 12})
    first, again, other = (protocol.draw(embedded, SPLIT, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first.enrolments[0].embedding, again.enrolments[0].embedding)
    assert not np.array_equal(first.enrolments[0].embedding, other.enrolments[0].embedding)


@pytest.mark.parametrize(("probe", "counts"), [(1, [1]), (2, [1]), (3, [1, 3]), (7, [1, 3, 5]), (20, [1, 3, 5, 8])])
def test_attempts_are_decided_after_as_many_looks_as_the_daemons(probe: int, counts: list[int]) -> None:
    assert Protocol(sessions=False, enrol=5, probe=probe, repeats=1, seed=1).decided_after == counts


def test_sessions_are_tried_against_each_other_both_ways_and_never_against_themselves() -> None:
    embedded = data({"a-1": 9, "a-2": 9, "b-c-1": 9, "b-c-2": 3, "d-1": 2})
    drawn = protocol.draw(embedded, SESSIONS, np.random.default_rng(1))
    pairs = {(e.session, a.session) for e, a in measure.pairs(drawn)}
    # The second session of b-c has frames enough for an attempt only, d none for either.
    assert pairs == {("a-1", "a-2"), ("a-2", "a-1"), ("b-c-1", "b-c-2")}
    assert len(drawn.genuine) == 3 * SESSIONS.repeats
    assert drawn.people == {"a", "b-c"}
    for index, again in drawn.same_session:
        assert drawn.enrolments[index].session == again.session


def test_an_enrolment_over_two_sessions_is_tried_in_the_others_only() -> None:
    embedded = data({"a-1": 9, "a-2": 9, "a-3": 9, "b-1": 9, "b-2": 9, "c-1": 9})
    both = replace(SESSIONS, enrolled_over=2)
    drawn = protocol.draw(embedded, both, np.random.default_rng(1))
    pairs = {(e.session, a.session) for e, a in measure.pairs(drawn)}
    assert pairs == {("a-1+a-2", "a-3"), ("a-1+a-3", "a-2"), ("a-2+a-3", "a-1")}
    # Those with fewer sessions are still enrolled, or are impostors.
    assert {e.session for e in drawn.enrolments} == {first for first, _ in pairs} | {"b-1+b-2"}
    assert drawn.people == {"a", "b", "c"}
    marked = Embedded(np.eye(18, len(P.projection.mean), dtype=np.float32), np.repeat(["a-1", "a-2"], 9), ())
    (enrolment, again) = protocol.draw(marked, both, np.random.default_rng(1)).enrolments
    for drawn_once in (enrolment, again):
        assert [np.count_nonzero(drawn_once.embedding[part : part + 9]) for part in (0, 9)] == [2, 2]


def test_enrolments_are_spread_and_attempts_are_in_a_row() -> None:
    rng = np.random.default_rng(3)
    rows = np.arange(100, 140)
    for _ in range(50):
        chosen = protocol.spread(rows, 10, rng)
        assert np.all(np.diff(chosen) >= 3)
        assert np.all(np.isin(chosen, rows))
        assert np.all(np.diff(protocol.in_a_row(rows, 5, rng)) == 1)
    assert protocol.spread(rows, 40, rng).tolist() == rows.tolist()


@pytest.mark.parametrize("name", ["anna", "anna-", "-1"])
def test_a_folder_without_a_session_is_named(name: str) -> None:
    with pytest.raises(DatasetError, match=name):
        protocol.check_layout({"otto-1", name}, SESSIONS)


def test_sessions_taken_for_people_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    protocol.check_layout({"anna-1", "otto-1"}, SPLIT)
    protocol.check_layout({"anna-1", "anna-2", "otto"}, SPLIT)
    assert not capsys.readouterr().err
    protocol.check_layout({"anna-1", "anna-2"}, SPLIT)
    assert "PERSON-SESSION" in capsys.readouterr().err


class Stage:
    """What the daemon's ``verify`` sees in place of a camera and a roster: frames, one record, and who is right."""

    def __init__(self, enrolled: lock.Enrolled, frames: np.ndarray[Any, Any]) -> None:
        header = SimpleNamespace(user="anna")
        self.record = SimpleNamespace(helper=SimpleNamespace(sketch=enrolled.sketch), header=header)
        self._s, self._frames = enrolled.point, frames
        self.seen = 0

    def looks(self) -> Any:
        for frame in self._frames:
            self.seen += 1
            yield Look(embedding=frame)

    def report(self, _: object) -> None:
        pass

    def check(self, *, late: bool = False) -> None:
        pass

    def secret(self, s: np.ndarray[Any, Any], _: object) -> bytes | None:
        return b"S" if np.array_equal(s, self._s) else None

    def get(self, _: str) -> Any:
        return self.record


def test_attempts_end_as_the_daemons_do() -> None:
    """The same frames, some near, some at the edge, through the daemon's own code."""
    rng = np.random.default_rng(8)
    extractor = Extractor(P)
    here = lock.Lock(extractor, rng.bytes)
    outcomes = []
    for distance in P.accept_radius * np.linspace(0.55, 2.4, 40):
        x = faces.someone(P, rng)
        enrolled = here.enrol(x)
        frames = np.array([faces.attempt(P, x, distance, rng) for _ in range(LOOKS[-1])], dtype=np.float32)
        opened_at = here.opened_at(enrolled, protocol.look(frames, LOOKS))
        stage = cast(Any, Stage(enrolled, frames))
        found = verify(stage, Attempt(extractor, stage, [stage.record]))
        matched = type(found).__name__ == "Match"
        assert matched == (opened_at is not None)
        if opened_at is not None:
            assert stage.seen == LOOKS[opened_at]
        outcomes.append(opened_at)
    # The frames are such that attempts end at several looks, and some not at all.
    assert len(set(outcomes)) >= 4


class Scripted:
    """An extractor whose candidates are given for each look."""

    def __init__(self, answers: list[list[int]]) -> None:
        self.parameters = P
        self._answers = iter(answers)
        self.asked: list[bool] = []

    def candidates(self, _look: object, _sketches: object, *, early: bool) -> list[Candidate]:
        self.asked.append(early)
        return [Candidate(0, np.full(P.k, value)) for value in next(self._answers)]


@pytest.mark.parametrize(
    ("answers", "opened_at"),
    [
        ([[1], [0]], 1),
        ([[1], [1], [1, 0]], 2),
        ([[1, 0], [0], [0]], 2),
        ([[1], [2], [0]], 2),
        ([[1], [2], [3, 0]], None),
        ([[1, 0]], 0),
    ],
)
def test_an_attempt_has_two_guesses_none_twice_and_one_kept_for_the_end(
    answers: list[list[int]], opened_at: int | None
) -> None:
    scripted = Scripted(answers)
    here = lock.Lock(cast(Extractor, scripted), np.random.default_rng(1).bytes)
    enrolled = lock.Enrolled(Sketch(bytes(32), np.zeros(P.k, np.int64)), np.zeros(P.k, np.int64), np.zeros(P.k))
    assert here.opened_at(enrolled, np.zeros((len(answers), len(P.projection.mean)), np.float32)) == opened_at
    looked = len(scripted.asked)
    assert scripted.asked == [True] * min(looked, len(answers) - 1) + [False] * (looked == len(answers))


def test_running_means_are_those_of_the_daemon() -> None:
    frames = data({"anna": 8}).embeddings
    total = frames[0].copy()
    for frame in frames[1:3]:
        total = total + frame
    assert np.array_equal(protocol.look(frames, [1, 3])[1], unit(total))


def test_what_is_out_of_reach_never_opens_and_what_is_just_within_the_radius_can() -> None:
    rng = np.random.default_rng(9)
    here = lock.Lock(Extractor(P), rng.bytes)
    far, near = [], []
    for _ in range(60):
        x = faces.someone(P, rng)
        enrolled = here.enrol(x)
        beyond = faces.attempt(P, x, lock.reach(P) + 1e-3, rng).astype(np.float32)
        within = faces.attempt(P, x, P.accept_radius * 0.6, rng).astype(np.float32)
        far.append(here.opened_at(enrolled, beyond[None]))
        near.append(here.opened_at(enrolled, within[None]))
    assert set(far) == {None}
    assert set(near) == {0}


def test_rounding_never_brings_the_true_point_nearer_than_reach_allows() -> None:
    """The bound itself: w is off D U y by half a unit a coordinate at most."""
    rng = np.random.default_rng(10)
    for _ in range(1000):
        y = rng.normal(size=P.k) * 100
        assert np.linalg.norm(np.rint(y) - y) / P.scale <= lock.reach(P) - P.accept_radius


@pytest.mark.parametrize("anyway", [0, 24])
def test_impostors_are_counted_once_for_each_attempt_and_enrolment_of_others(
    anyway: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "DECODED_ANYWAY", anyway)
    found = measure.impostors(group(data({"a": 8, "b": 8, "c": 8}), SPLIT), seed=1)
    assert len(found.distances) == 12 * 8
    assert found.pairs == {frozenset("ab"), frozenset("ac"), frozenset("bc")}
    assert (found.opened, found.accepted) == (0, set())
    # None is within reach, so all that are decoded are so as a check.
    assert found.decoded == pytest.approx(anyway, abs=anyway / 2)


def test_a_model_that_maps_all_faces_together_lets_impostors_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: false accepts are counted where there are some."""
    monkeypatch.setattr(measure, "DECODED_ANYWAY", 0)
    (one,) = group(data({"a": 8, "b": 8, "c": 8}), SPLIT)
    flat = Projection(P.projection.mean, P.projection.matrix * 1e-3)
    hostile = measure.Group(trials.under(P, flat).parameters, one.trials)
    found = measure.impostors([hostile], seed=1)
    assert found.opened == len(found.distances)
    assert found.accepted == found.pairs


def test_another_cell_keeps_the_lattice_and_scales_the_rest() -> None:
    larger = lock.at_cell(P, P.cell * 1.25)
    assert larger.cell == pytest.approx(P.cell * 1.25)
    assert larger.accept_radius == pytest.approx(P.accept_radius * 1.25)
    assert larger.lattice is P.lattice


def test_a_larger_cell_opens_for_what_a_smaller_one_refuses() -> None:
    groups = group(data(dict.fromkeys("abcde", 8), noise=1.4 * P.accept_radius), SPLIT)
    rates = []
    for ratio in (0.7, 1.0, 1.6):
        found, times = measure.genuine(measure.at_cells(groups, P.cell * ratio), seed=1)
        rates.append(np.mean([trial.opened_at is None for trial in found]))
        assert len(times) >= len(found)
    assert rates[0] > rates[1] >= rates[2]
    assert rates[2] == 0


def test_the_curve_trades_bits_for_false_rejects(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = group(data(dict.fromkeys("abc", 8), noise=1.4 * P.accept_radius), SPLIT)
    shipped, _ = measure.genuine(groups, seed=1)
    predicted = strength.predict(groups)
    points = curve.trace(groups, shipped, predicted, seed=1)
    bits, rates = [point.guesswork_bits for point in points], [point.frr for point in points]
    assert np.all(np.diff(bits) < 0)
    assert np.all(np.diff(rates) <= 0.1)
    assert rates[0] > 0.5 > rates[-1]
    (own,) = (point for point in points if point.cell == pytest.approx(P.cell))
    assert own.guesswork_bits == pytest.approx(np.median(per_person(predicted.people, predicted.bits)))
    # The bits are those that the other cell's own set predicts.
    larger = strength.predict(measure.at_cells(groups, points[-1].cell))
    assert bits[-1] == pytest.approx(np.median(per_person(larger.people, larger.bits)))
    monkeypatch.setattr(curve, "_MOST", len(shipped) // 2)
    assert [point.failures.shape for point in curve.trace(groups, shipped, predicted, seed=1)] == [(3,)] * len(points)


def test_whoever_knows_where_a_group_lies_is_not_put_off_by_how_far_out_it_is() -> None:
    vectors = np.random.default_rng(12).normal(size=(2000, 4, P.k))
    owners = ["a", "b", "c", "d"]
    centred = np.array([strength.centred(four + 100, owners) for four in vectors])
    # As long as if the true mean were known, though it is one of four.
    assert np.mean(centred**2) == pytest.approx(1, abs=0.02)
    # A person who is enrolled more often does not draw the mean.
    often = strength.centred(np.concatenate([vectors[0], vectors[0][:1]]), [*owners, "a"])
    assert often[:4] == pytest.approx(strength.centred(vectors[0], owners))


def test_strength_is_predicted_of_every_enrolment() -> None:
    groups = group(data({"a": 8, "b": 8}), SPLIT)
    found = strength.predict(groups)
    assert len(found.people) == len(found.bits) == len(found.centred) == 8
    enrolled = P.projection(groups[0].trials.enrolments[0].embedding)
    assert found.bits[0] == coset_bits(enrolled, P.spread, P.cell)
    assert strength.predict(group(data({"a": 8}), SPLIT)).centred == []


def test_refitting_needs_people() -> None:
    few = data({"a": 8, "b": 8})
    refit = measure.Refit(fitting.Sources(fitting.faces(Path(), few)), Path().resolve())
    with pytest.raises(DatasetError, match="too few"):
        measure.group(few, SPLIT, P, refit)


def test_refitted_models_have_not_seen_whom_they_are_tried_on() -> None:
    people = np.array([f"p{index % 40}" for index in range(400)])
    x = np.random.default_rng(11).normal(size=(400, 96)).astype(np.float32) / np.float32(96**0.5)
    judged = fitting.Faces(Path("one"), x, people)
    # The others' changes count for everyone; the same people's, seen in more light, only where they are not judged.
    light = fitting.Faces(Path("one"), np.flip(x, axis=1).copy(), people)
    sources = fitting.Sources(judged, (light, fitting.Faces(Path("two"), x, people)))
    parts = list(fitting.refitted(judged, sources, np.random.default_rng(1), 8))
    assert np.array_equal(np.sum([mask for _, mask in parts], axis=0), np.ones(400))
    for projection, mask in parts:
        assert not set(people[mask]) & set(people[~mask])
        rest = fitting.Faces(Path("one"), x[~mask], people[~mask])
        light_left = fitting.Faces(Path("one"), light.embeddings[~mask], people[~mask])
        alone = fitting.Sources(rest, (light_left, sources.changes[1])).fit(8)
        assert np.allclose(projection.matrix, alone.matrix)


def test_refreshes_need_unlocks_and_move_the_record_towards_what_is_seen() -> None:
    embedded = data({"a-1": 8, "a-2": 12, "a-3": 12}, noise=3.0)
    # Both later sessions are off the first by the same 6 deviations: other light.
    later = np.char.find(embedded.people, "a-1") < 0
    away = np.linalg.pinv(P.projection.matrix)[:, 20] * 6
    shifted = embedded.embeddings + np.where(later[:, None], away, 0).astype(np.float32)
    shifted = (shifted / np.linalg.norm(shifted, axis=1, keepdims=True)).astype(np.float32)
    moved = Embedded(shifted, embedded.people, ())
    found = refreshing.study(group(moved, SESSIONS), moved, SESSIONS)
    summed = refreshing.figures(found, P)
    third = cast(dict[str, Any], summed["third_session"])
    assert third["attempts"] == 6 * SESSIONS.repeats
    assert third["steps_mean"] > 0
    before, after, joined = third["distance_median"]
    assert joined < after < before
    plain, refreshed = cast(tuple[float, float], summed["guesswork_bits"])
    assert 0 < plain - refreshed < 5
