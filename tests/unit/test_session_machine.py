# SPDX-License-Identifier: Apache-2.0
"""The daemon's session in any order of events, and agents with one fault each, which the same machine must catch.

`FACELATCH_EFFORT=100 pytest tests/unit/test_session_machine.py` tries a hundred times as much.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis.stateful import run_state_machine_as_test

from facelatch.daemon import attempts
from facelatch.daemon.attempts import Attempt, EnrolmentPlan, Match
from facelatch.daemon.roster import Roster
from facelatch.daemon.signals import LitCamera, Signals
from facelatch.daemon.worker import Session, StoppedError, Worker
from facelatch.vault.lockout import Lockout
from tests.properties import control, effort
from tests.session_cast import LOOKS
from tests.session_machine import Sessions

TestSessions = Sessions.TestCase
TestSessions.settings = effort(examples=10, steps=25)

ENDS: Counter[str] = Counter()


class Counted(Sessions):
    """Counts how requests end."""

    def ended(self) -> None:
        if self.running is not None and self.running.end is not None:
            end = self.running.end
            ENDS[str(end.get("parameters", {}).get("result") or self.running.error)] += 1
        super().ended()


def test_every_end_of_a_request_is_met() -> None:
    """A machine that never gets anywhere would find nothing wrong there."""
    ENDS.clear()
    run_state_machine_as_test(Counted, settings=control(examples=25, steps=30))
    met = {"verify_match", "verify_no_match", "enroll_completed", "enroll_duplicate", "Timeout", "Cancelled"}
    assert met | {"CameraUnavailable"} <= ENDS.keys(), ENDS


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def let_anyone_in(self: Attempt, embedding: Any, *_: object) -> Match | None:
    record = next(iter(self._records), None)
    return None if record is None else Match(record, bytes(32), record.helper.sketch.c, embedding)


def charge_after_the_verdict(self: Attempt, embedding: Any, session: Any, *, early: bool = False) -> Match | None:
    match = self._try(embedding, session, early)
    if match is None and not early and self._lockout is not None:
        self._lockout.charge(self._subject)
    return match


def store_what_was_cancelled(
    session: Session[Any],
    plan: EnrolmentPlan,
    extractor: Any,
    roster: Roster,
    true: Callable[..., Any] = attempts.enrol,
) -> Any:
    try:
        return true(session, plan, extractor, roster)
    except StoppedError:
        if plan.before is None:
            roster.put(roster.make(plan.user, LOOKS[1].embedding, administrator=False))  # type: ignore[arg-type]
        raise


@asynccontextmanager
async def not_waited_for(_: Worker, __: float) -> AsyncIterator[None]:
    yield


def noticed_by(error: BaseException) -> set[str]:
    """Name what raised it."""
    if isinstance(error, ExceptionGroup):
        return {name for each in error.exceptions for name in noticed_by(each)}
    return {traceback.extract_tb(error.__traceback__)[-1].name}


_COUNTED = "failures_are_counted_exactly"
_STORED = "who_is_enrolled_is_listed_and_on_disk"
_LIT = "the_camera_is_lit_while_it_looks_and_closed_otherwise"


@pytest.mark.parametrize(
    ("where", "name", "fault", "notices"),
    [
        # Or is found enrolled already, which the same comparison says: in judge_enrolment.
        pytest.param(Attempt, "_try", let_anyone_in, "judge", id="anyone is let in"),
        pytest.param(Lockout, "charge", nothing, _COUNTED, id="no failure counts"),
        pytest.param(Lockout, "reset", nothing, _COUNTED, id="no match forgets failures"),
        pytest.param(Attempt, "decide", charge_after_the_verdict, _COUNTED, id="hanging up makes a try free"),
        pytest.param(attempts, "enrol", store_what_was_cancelled, _STORED, id="a cancelled enrolment is stored"),
        pytest.param(LitCamera, "close", nothing, _LIT, id="the camera stays open"),
        pytest.param(Signals, "camera", nothing, _LIT, id="the light stays dark"),
        pytest.param(Worker, "precedence", not_waited_for, "come_first", id="root does not wait"),
        pytest.param(Worker, "close", nothing, "teardown", id="the thread stays"),
    ],
)
def test_an_agent_with_a_fault_is_caught(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, fault: Callable[..., Any], notices: str
) -> None:
    monkeypatch.setattr(where, name, fault)
    if where is Worker:  # a thread that is about to end would give any other away, on a slow machine
        monkeypatch.setattr(Sessions, "patience", 0.1)
    with pytest.raises((AssertionError, ExceptionGroup)) as caught:
        run_state_machine_as_test(Sessions, settings=control(examples=60, steps=30))
    assert any(name.startswith(notices) for name in noticed_by(caught.value))
