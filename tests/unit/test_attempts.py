# SPDX-License-Identifier: Apache-2.0
"""Attempts and enrolments on made-up embeddings: the real extractor and store, a scripted camera."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from facelatch import parameters
from facelatch.camera import Camera
from facelatch.daemon import attempts
from facelatch.daemon.attempts import (
    Duplicate,
    Enrolled,
    Looked,
    Match,
    NoMatch,
    OtherPose,
    Refusal,
    Refused,
    Retry,
    Spoof,
)
from facelatch.daemon.liveness import Turn, Watch
from facelatch.daemon.roster import OvertakenError, Roster
from facelatch.daemon.worker import DeadlineError, Session, StoppedError, Worker
from facelatch.errors import RecordCorruptError, RecordKeyError, StorageError
from facelatch.face.path import FacePath, Look
from facelatch.face.quality import Hint
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import MAX_CANDIDATES, Candidate, Extractor
from facelatch.l2fe.rotation import rotation
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import Lockout
from facelatch.vault.record import Record
from facelatch.vault.store import Store
from tests.faces import moved, someone
from tests.heads import seen, surface
from tools.redteam.madeup import Sphere

P = parameters.read("standard")
EXTRACTOR = Extractor(P)
KEY = HostFileKey(bytes(range(32)))
RNG = np.random.default_rng(11)
HEAD = surface()
ANNA, BOB, EVE = (someone(P, RNG) for _ in range(3))


class Script(Session[Any]):
    """Plays looks from a list, one a tenth of a second; stands in for ``worker.Session``."""

    def __init__(self, looks: list[Look], *, timeout: float = 100.0) -> None:
        self.report = lambda value: self.reports.append(value)
        self.elapsed = 0.0
        self.reports: list[object] = []
        self.released = False
        self._script = looks
        self._timeout = timeout
        self._stop = threading.Event()
        self._worker = Worker(cast(Camera, None), cast(FacePath, None))  # which counts how far it comes

    def looks(self) -> Generator[Look]:
        try:
            for look in self._script:
                self.elapsed += 0.1
                self.check()
                yield look
            raise DeadlineError
        finally:
            self.released = True


def looks_of(x: np.ndarray, count: int, spread: float = 2.0) -> list[Look]:
    return [Look(embedding=moved(P, x, spread, RNG).astype(np.float32)) for _ in range(count)]


@pytest.fixture
def roster(tmp_path: Path) -> Iterator[Roster]:
    with Store(tmp_path / "records") as store:
        yield Roster(store, KeyRing(KEY), EXTRACTOR)


@pytest.fixture
def anna(roster: Roster) -> Roster:
    roster.put(roster.make("anna", ANNA, administrator=False))
    return roster


def attempt(roster: Roster) -> attempts.Attempt:
    return attempts.Attempt(EXTRACTOR, roster, list(roster))


def test_the_owner_matches_at_the_first_good_look(anna: Roster) -> None:
    script = Script([Look(hint=Hint.BLURRED), *looks_of(ANNA, 8)])
    result = attempts.verify(script, attempt(anna))
    assert isinstance(result, Match)
    assert result.record.header.user == "anna"
    assert script.reports == [Retry(Hint.BLURRED), Looked()]
    assert script.released


def test_a_noisy_owner_matches_later_on_the_mean(anna: Roster) -> None:
    script = Script(looks_of(ANNA, 8, spread=1.25 * P.accept_radius))
    assert isinstance(attempts.verify(script, attempt(anna)), Match)
    assert len(script.reports) > 1


def test_a_stranger_is_no_match_after_all_looks(anna: Roster) -> None:
    script = Script(looks_of(EVE, 20))
    assert attempts.verify(script, attempt(anna)) == NoMatch()
    assert len(script.reports) == attempts.LOOKS[-1]
    assert script.released


def test_poor_looks_alone_end_in_a_timeout_and_not_in_a_failure(anna: Roster) -> None:
    script = Script([Look(hint=Hint.NO_FACE)] * 30)
    with pytest.raises(DeadlineError):
        attempts.verify(script, attempt(anna))
    assert script.released


def test_running_out_of_time_after_a_good_look_is_no_match(anna: Roster) -> None:
    script = Script([*looks_of(EVE, 2), *[Look(hint=Hint.NO_FACE)] * 30], timeout=1.0)
    assert attempts.verify(script, attempt(anna)) == NoMatch()


def test_an_attempt_never_costs_more_than_two_key_stretches(anna: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0
    tried = attempt(anna)

    def count(*_: object) -> None:
        nonlocal spent
        spent += 1

    # Everyone's c is near everything: every look gives two fresh candidates.
    fresh = iter(range(10**6))
    monkeypatch.setattr(EXTRACTOR, "candidates", lambda *_, **__: [_candidate(next(fresh)), _candidate(next(fresh))])
    monkeypatch.setattr(anna, "secret", count)
    assert attempts.verify(Script(looks_of(EVE, 20)), tried) == NoMatch()
    assert spent == MAX_CANDIDATES


@pytest.mark.parametrize(
    ("looks", "expected"),
    [(1, [True, False]), (2, [True, False]), (3, [True, True, False]), (20, [True, True, True, False])],
)
def test_the_last_look_counts_whether_looks_or_time_ran_out(
    anna: Roster, monkeypatch: pytest.MonkeyPatch, looks: int, expected: list[bool]
) -> None:
    asked: list[bool] = []

    def nothing(*_: object, early: bool) -> list[object]:
        asked.append(early)
        return []

    monkeypatch.setattr(EXTRACTOR, "candidates", nothing)
    assert attempts.verify(Script(looks_of(EVE, looks)), attempt(anna)) == NoMatch()
    assert asked == expected


def test_an_early_look_leaves_a_guess_for_the_last(anna: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[object] = []
    monkeypatch.setattr(EXTRACTOR, "candidates", lambda *_, early: [_candidate(i) for i in ((1, 2) if early else (3,))])
    monkeypatch.setattr(anna, "secret", lambda point, _: spent.append(int(point[0])))
    assert attempts.verify(Script(looks_of(EVE, 20)), attempt(anna)) == NoMatch()
    assert spent == [1, 3]


def _candidate(value: int) -> object:
    return Candidate(0, np.full(P.k, value, dtype=np.int64))


class Ledger(Lockout):
    """A lockout that writes down what is asked of it, in memory."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def charge(self, subject: str) -> None:
        self.entries.append(f"charge {subject}")

    def reset(self, subject: str) -> None:
        self.entries.append(f"reset {subject}")


def counted(roster: Roster, ledger: Ledger, *, judged: bool = False) -> attempts.Attempt:
    return attempts.Attempt(EXTRACTOR, roster, list(roster), ledger, "subject", judged=judged)


def test_a_match_is_counted_first_and_then_forgotten(anna: Roster) -> None:
    ledger = Ledger()
    attempts.verify(Script(looks_of(ANNA, 8)), counted(anna, ledger))
    assert ledger.entries == ["charge subject", "reset subject"]


def test_a_no_match_is_counted_once_for_all_its_looks(anna: Roster) -> None:
    ledger = Ledger()
    attempts.verify(Script(looks_of(EVE, 20)), counted(anna, ledger))
    assert ledger.entries == ["charge subject"]


def seen_looks(x: np.ndarray, live: float, count: int = 16) -> list[Look]:
    """Looks at a face whose liveness was judged; the script has them a tenth of a second apart."""
    return [replace(look, live=live, points=seen(HEAD, shake=n)) for n, look in enumerate(looks_of(x, count))]


def test_a_print_of_the_owner_is_never_tried_and_counts_for_nobody(anna: Roster) -> None:
    ledger = Ledger()
    tried = counted(anna, ledger, judged=True)
    assert attempts.verify(Script(seen_looks(ANNA, -6.0)), tried, Watch()) == Spoof()
    assert ledger.entries == ["charge spoof"]


def test_the_same_looks_match_when_they_are_live_and_forget_prints(anna: Roster) -> None:
    ledger = Ledger()
    script = Script(seen_looks(ANNA, 6.0))
    assert isinstance(attempts.verify(script, counted(anna, ledger, judged=True), Watch()), Match)
    assert script.reports == [Looked()] * 8
    assert ledger.entries == ["charge subject", "reset subject", "reset spoof"]


def test_a_live_stranger_is_no_match(anna: Roster) -> None:
    ledger = Ledger()
    assert attempts.verify(Script(seen_looks(EVE, 6.0)), counted(anna, ledger, judged=True), Watch()) == NoMatch()
    assert ledger.entries == ["charge subject"]


def test_doubt_is_counted_when_the_turn_is_asked_for_and_not_when_time_is_up(anna: Roster) -> None:
    ledger = Ledger()
    script = Script(seen_looks(ANNA, 0.0, 70))
    assert attempts.verify(script, counted(anna, ledger, judged=True), Watch()) == Spoof()
    assert ledger.entries == ["charge spoof"]
    assert {type(report) for report in script.reports[7:]} == {Turn}


def test_too_few_live_looks_in_time_are_a_timeout_and_cost_nothing(anna: Roster) -> None:
    ledger = Ledger()
    with pytest.raises(DeadlineError):
        attempts.verify(Script(seen_looks(ANNA, 6.0, 7)), counted(anna, ledger, judged=True), Watch())
    assert ledger.entries == []


def test_looks_that_do_not_count_cost_nothing(anna: Roster) -> None:
    ledger = Ledger()
    with pytest.raises(DeadlineError):
        attempts.verify(Script([Look(hint=Hint.TOO_DARK)] * 30), counted(anna, ledger))
    assert ledger.entries == []


def test_whoever_hangs_up_after_a_guess_has_been_counted(anna: Roster) -> None:
    ledger = Ledger()
    script = Script(looks_of(EVE, 20))

    def hang_up(value: object) -> None:
        script.reports.append(value)
        if len(script.reports) == 2:
            script._stop.set()

    script.report = hang_up
    with pytest.raises(StoppedError):
        attempts.verify(script, counted(anna, ledger))
    assert ledger.entries == ["charge subject"]


def test_without_a_place_to_count_nothing_is_tried(anna: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()

    def full(subject: str) -> None:
        raise StorageError(f"no space to count {subject}", "free some")

    monkeypatch.setattr(ledger, "charge", full)
    monkeypatch.setattr(anna, "secret", lambda *_: pytest.fail("a guess was made uncounted"))
    with pytest.raises(StorageError):
        attempts.verify(Script(looks_of(ANNA, 8)), counted(anna, ledger))


def test_nobody_enrolled_is_no_match(roster: Roster) -> None:
    assert attempts.verify(Script(looks_of(ANNA, 20)), attempt(roster)) == NoMatch()


def plan(user: str) -> attempts.EnrolmentPlan:
    return attempts.EnrolmentPlan(user, administrator=False, frames=9, seconds=1.8, timeout=100.0)


def hasty_plan(user: str) -> attempts.EnrolmentPlan:
    """Takes looks as fast as they come, and asks for no pose."""
    return attempts.EnrolmentPlan(user, administrator=False, frames=9, seconds=0.1, timeout=0.1)


def test_an_enrolment_spreads_its_looks_over_the_time_and_opens_afterwards(roster: Roster) -> None:
    script = Script(looks_of(BOB, 60))
    result = attempts.enrol(script, plan("bob"), EXTRACTOR, roster)
    assert isinstance(result, Enrolled)
    assert [report for report in script.reports if report != OtherPose()] == [
        Looked(remaining=left) for left in range(8, -1, -1)
    ]
    assert script.elapsed > 1.6
    assert script.released
    roster.put(result.record)
    assert isinstance(attempts.verify(Script(looks_of(BOB, 3)), attempt(roster)), Match)


def test_looks_that_do_not_agree_are_refused_with_a_reason(roster: Roster) -> None:
    mixed = [
        look for pair in zip(looks_of(BOB, 40), looks_of(BOB, 40), looks_of(EVE, 40), strict=True) for look in pair
    ]
    result = attempts.enrol(Script(mixed), hasty_plan("bob"), EXTRACTOR, roster)
    assert isinstance(result, Refused)
    assert len(roster) == 0


def test_a_bystander_in_a_few_looks_is_left_out(roster: Roster) -> None:
    looks = looks_of(BOB, 60)
    looks[1] = looks_of(EVE, 1)[0]
    result = attempts.enrol(Script(looks), hasty_plan("bob"), EXTRACTOR, roster)
    assert isinstance(result, Enrolled)
    roster.put(result.record)
    assert isinstance(attempts.verify(Script(looks_of(BOB, 3)), attempt(roster)), Match)


def test_a_face_too_near_the_average_is_refused(roster: Roster) -> None:
    average = Sphere(P).at(0.5 * P.spread)
    result = attempts.enrol(Script(looks_of(average, 60, spread=0.5)), plan("average"), EXTRACTOR, roster)
    assert result == Refused(Refusal.WEAK)


def test_a_face_enrolled_under_another_name_is_a_duplicate(anna: Roster) -> None:
    result = attempts.enrol(Script(looks_of(ANNA, 60)), plan("bob"), EXTRACTOR, anna)
    assert result == Duplicate()


def test_replacing_keeps_file_and_rotation_and_makes_new_keys(anna: Roster, tmp_path: Path) -> None:
    before = anna.get("anna")
    assert before is not None
    again = replace(plan("anna"), before=before)
    result = attempts.enrol(Script(looks_of(ANNA, 60)), again, EXTRACTOR, anna)
    assert isinstance(result, Enrolled)
    anna.put(result.record)
    after = result.record
    assert after.header.record_id == before.header.record_id
    assert after.header.generation == before.header.generation + 1
    assert after.helper.sketch.seed == before.helper.sketch.seed
    assert after.helper.verify_key != before.helper.verify_key
    assert len(list((tmp_path / "records").glob("*.rec"))) == 1


def test_who_is_removed_leaves_no_rotation_in_memory(anna: Roster) -> None:
    anna.make("bob", ANNA, administrator=False)
    assert rotation.cache_info().currsize > 0
    anna.remove("anna")
    assert rotation.cache_info().currsize == 0


def test_the_first_attempt_finds_rotations_expanded(anna: Roster) -> None:
    rotation.cache_clear()
    anna.expand()
    EXTRACTOR.candidates(ANNA, [record.helper.sketch for record in anna])
    assert (rotation.cache_info().hits, rotation.cache_info().misses) == (len(anna), len(anna))


def test_nothing_is_expanded_of_who_is_removed_meanwhile(anna: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = list(anna)
    monkeypatch.setattr(Roster, "__iter__", lambda _: iter(listed))
    anna.remove("anna")
    anna.expand()
    assert rotation.cache_info().currsize == 0


def test_who_is_removed_while_others_are_listed_ends_nothing(anna: Roster, monkeypatch: pytest.MonkeyPatch) -> None:
    class RemovedMeanwhile(dict[str, Record]):
        def __iter__(self) -> Iterator[str]:
            names = list(super().__iter__())
            self.clear()
            return iter(names)

    expected = list(anna)
    monkeypatch.setattr(anna, "_records", RemovedMeanwhile(anna._records))
    assert list(anna) == expected


def test_what_was_made_to_follow_another_record_is_not_stored(anna: Roster) -> None:
    before = anna.get("anna")
    with pytest.raises(OvertakenError):
        anna.put(anna.make("anna", ANNA, administrator=False))
    successor = anna.make("anna", ANNA, administrator=False, before=before)
    anna.remove("anna")
    with pytest.raises(OvertakenError):
        anna.put(successor)
    assert len(anna) == 0


def test_a_refresh_keeps_keys_salt_and_rotation_and_shuts_out_the_old_generation(anna: Roster) -> None:
    before = anna.get("anna")
    assert before is not None
    look = moved(P, ANNA, 3.0, RNG)
    (candidate, *_) = EXTRACTOR.candidates(look, [before.helper.sketch])
    now = before.account.enrolled_usec + refresh.INTERVAL_USEC
    assert anna.refreshed(before, candidate.point, look, now - 1) is None
    after = anna.refreshed(before, candidate.point, look, now)
    assert after is not None
    assert (after.header.generation, after.account.refreshes, after.account.refreshed_usec) == (1, 1, now)
    kept = ("salt", "verify_key", "seal_key")
    assert [getattr(after.helper, name) for name in kept] == [getattr(before.helper, name) for name in kept]
    assert after.helper.sketch.seed == before.helper.sketch.seed
    assert not np.array_equal(after.helper.sketch.c, before.helper.sketch.c)
    secret = anna.secret(candidate.point, before)
    assert secret is not None
    assert anna.secret(candidate.point, after) == secret
    assert anna.secret(candidate.point, replace(after, helper=before.helper)) is None
    assert anna.refreshed(after, candidate.point, look, now) is None


def test_a_roster_opens_again_from_disk(anna: Roster, tmp_path: Path) -> None:
    anna._store.close()
    with Store(tmp_path / "records") as store:
        again = Roster(store, KeyRing(KEY), EXTRACTOR)
        assert [record.header.user for record in again] == ["anna"]
        again.remove("anna")
        assert len(again) == 0
        assert len(Roster(store, KeyRing(KEY), EXTRACTOR)) == 0


def test_a_renewed_device_key_needs_no_face_and_the_old_one_opens_nothing(anna: Roster, tmp_path: Path) -> None:
    renewed = HostFileKey(bytes(range(2, 34)))
    anna.move(renewed)
    assert isinstance(attempts.verify(Script(looks_of(ANNA, 3)), attempt(anna)), Match)
    anna._store.close()
    with Store(tmp_path / "records") as store:
        again = Roster(store, KeyRing(renewed), EXTRACTOR)
        assert isinstance(attempts.verify(Script(looks_of(ANNA, 3)), attempt(again)), Match)
        with pytest.raises(RecordKeyError):
            Roster(store, KeyRing(KEY), EXTRACTOR)


def test_a_renewal_that_fails_and_is_tried_again_loses_nobody(
    anna: Roster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna.put(anna.make("bob", BOB, administrator=False))
    renewed = HostFileKey(bytes(range(2, 34)))
    put, failures = Store.put, iter([False, True])

    def failing(store: Store, record_id: str, data: bytes) -> None:
        if next(failures, False):
            raise StorageError("no space", "free some")
        put(store, record_id, data)

    monkeypatch.setattr(Store, "put", failing)
    with pytest.raises(StorageError):
        anna.move(renewed)
    for person in (ANNA, BOB):
        assert isinstance(attempts.verify(Script(looks_of(person, 3)), attempt(anna)), Match)
    anna.move(renewed)
    anna._store.close()
    with Store(tmp_path / "records") as store:
        again = Roster(store, KeyRing(renewed), EXTRACTOR)
        for person in (ANNA, BOB):
            assert isinstance(attempts.verify(Script(looks_of(person, 3)), attempt(again)), Match)


def test_a_renewal_that_stopped_halfway_goes_on(anna: Roster, tmp_path: Path) -> None:
    anna.put(anna.make("bob", BOB, administrator=False))
    sealed = {path: path.read_bytes() for path in (tmp_path / "records").glob("*.rec")}
    renewed = HostFileKey(bytes(range(2, 34)))
    anna.move(renewed)
    (path, data), _ = sealed.items()
    path.write_bytes(data)
    anna._store.close()
    both = KeyRing(KEY)
    both.next = renewed
    with Store(tmp_path / "records") as store:
        again = Roster(store, both, EXTRACTOR)
        for person in (ANNA, BOB):
            assert isinstance(attempts.verify(Script(looks_of(person, 3)), attempt(again)), Match)
        again.move(renewed)
        assert len(Roster(store, KeyRing(renewed), EXTRACTOR)) == 2


def test_a_roster_refuses_to_start_on_a_record_it_cannot_use(anna: Roster, tmp_path: Path) -> None:
    anna._store.close()
    with Store(tmp_path / "records") as store:
        with pytest.raises(RecordKeyError):
            Roster(store, KeyRing(HostFileKey(bytes(range(1, 33)))), EXTRACTOR)
        (path,) = (tmp_path / "records").glob("*.rec")
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(RecordCorruptError):
            Roster(store, KeyRing(KEY), EXTRACTOR)
