# SPDX-License-Identifier: Apache-2.0
"""The daemon's session as a state machine: requests, looks, hang-ups and time in any order, against a plain model.

The agent and its server are real (tests/in_process.py); requests go over real sockets (tests/session_driver.py). After
each step nobody has anything left to do: the camera waits for a frame, or is closed.
"""

from __future__ import annotations

from hypothesis.stateful import initialize, invariant, precondition, rule
from hypothesis.strategies import booleans, floats, integers, sampled_from

from facelatch.daemon.signals import RESULTS
from facelatch.hardware.indicator import DARK
from facelatch.vault.lockout import DEVICE, MAX_FAILURES, delay
from tests.in_process import UNPLUGGED
from tests.session_cast import FACES, LOOKS, LOOKS_EACH, NAMES, NOBODY, Request, face
from tests.session_driver import Driver

_TIMEOUT_MS = 5000


class Sessions(Driver):
    """Everything that people before the camera and peers on the socket can do."""

    # --- requests that look

    @rule(user=sampled_from([None, *NAMES]))
    def verify(self, user: str | None) -> None:
        self.begin(self.ask("Verify", user=user, timeout_ms=_TIMEOUT_MS), self.refusal(user))

    @precondition(lambda self: self.running is not None and self.waiting is None)
    @rule(user=sampled_from([None, *NAMES]))
    def come_first(self, user: str | None) -> None:
        """Root waits, whoever asks besides; what becomes of it is seen once it is its turn."""
        request = self.ask("Verify", user=user, server=self.for_root, timeout_ms=_TIMEOUT_MS)
        if request.end is not None:
            request.connection.close()
            raise AssertionError(f"root is not waited for: {request.replies}")
        self.waiting = request

    def refusal(self, user: str | None) -> str | None:
        if user is not None and user not in self.enrolled:
            return "NotEnrolled"
        subject = DEVICE if user is None else self.subject(user)
        return "LockedOut" if self.until.get(subject, 0.0) > self.clock.time else self.obstacle()

    def obstacle(self) -> str | None:
        if self.running is not None:
            return "Busy"
        return "CameraUnavailable" if self.house.camera.unplugged else None

    @rule(user=sampled_from(NAMES), replace=booleans())
    def enrol(self, user: str, replace: bool) -> None:
        request = self.ask("Enroll", user=user, mode="replace" if replace else "new", timeout_ms=_TIMEOUT_MS)
        if replace and user not in self.enrolled:
            self.begin(request, "NotEnrolled")
        elif not replace and user in self.enrolled:
            self.begin(request, "AlreadyEnrolled")
        else:
            self.begin(request, self.obstacle())

    def begin(self, request: Request, expected: str | None) -> None:
        assert request.error == expected, (request.method, request.user, request.replies)
        if expected is None:
            assert request.end is None, "answered before anything was seen"
            self.running = request
            if request.user in self.enrolled:
                request.subject = self.subject(request.user)
        else:
            request.connection.close()
            self.do(self.settle())

    def subject(self, user: str | None) -> str:
        record = self.house.agent.roster.get(str(user))
        assert record is not None
        return record.header.record_id.hex()

    # --- what the camera shows

    @precondition(lambda self: self.running is not None)
    @rule(frame=integers(0, len(LOOKS) - 1))
    def show(self, frame: int) -> None:
        running = self.running
        assert running is not None
        seen = face(frame)
        late = self.late
        self.house.camera.give(frame)
        self.do(self.settle())
        if seen is not None and not late:
            running.seen.append(seen)
            if running.method == "Verify" and len(running.seen) == 1:
                self.charge(running.subject)
        self.judge(running)

    @precondition(lambda self: self.running is not None)
    @rule(who=sampled_from(FACES))
    def stay(self, who: str) -> None:
        """Somebody stays until it has ended."""
        first, running = 1 + LOOKS_EACH * FACES.index(who), self.running
        for number in range(60):
            if self.running is not running:
                return
            self.show(first + number % LOOKS_EACH)
        raise AssertionError("it does not end")

    @precondition(lambda self: self.running is None)
    @rule(user=sampled_from([None, *NAMES]), who=sampled_from(FACES), leaves=booleans(), login=booleans())
    def attempt(self, user: str | None, who: str, leaves: bool, login: bool) -> None:
        """Ask and be looked at, to the end or for one look: what people mostly do; perhaps a login waits meanwhile."""
        self.verify(user)
        if self.running is not None and login:
            self.come_first(user)
        if self.running is not None and leaves:
            self.show(1 + LOOKS_EACH * FACES.index(who))
            self.hang_up()
        elif self.running is not None:
            self.stay(who)

    @precondition(lambda self: self.running is None)
    @rule(user=sampled_from(NAMES), who=sampled_from(FACES), end=sampled_from(["done", "cancelled", "left"]))
    def enrol_somebody(self, user: str, who: str, end: str) -> None:
        """The same with an enrolment, under a name that need not be theirs."""
        self.enrol(user, user in self.enrolled)
        if self.running is not None and end == "done":
            self.stay(who)
        elif self.running is not None:
            self.show(1 + LOOKS_EACH * FACES.index(who))
            self.cancel() if end == "cancelled" else self.hang_up()

    def charge(self, subject: str) -> None:
        self.failures[subject] = min(self.failures.get(subject, 0) + 1, MAX_FAILURES)
        # The time stands while a look is judged.
        self.until[subject] = self.clock.time + delay(subject, self.failures[subject])

    def forget(self, subject: str) -> None:
        self.failures.pop(subject, None)
        self.until.pop(subject, None)

    def judge(self, running: Request) -> None:
        """See that what a request ended in follows from what was seen."""
        end = running.end
        if end is None:
            return
        self.late = False
        result = end.get("parameters", {}).get("result")
        if running.method == "Enroll":
            self.judge_enrolment(running, result)
        elif result == "verify_match":
            user = end["parameters"]["user"]
            assert running.user in (None, user), "another user than was asked for"
            assert self.enrolled[user] in running.seen, "a match without a matching look"
            self.forget(running.subject)
        elif result == "verify_no_match":
            assert running.seen, "a no-match without a look"
            for user, whose in self.enrolled.items():
                asked = running.user in (None, user)
                assert not (asked and set(running.seen) == {whose}), "the owner was refused"
        else:
            assert running.error == "Timeout", running.replies
            assert not running.seen
        self.ended()

    def judge_enrolment(self, running: Request, result: str | None) -> None:
        user = str(running.user)
        if result == "enroll_completed":
            assert len(running.seen) >= 6
            assert len(set(running.seen)) == 1 or self.one_of(running.seen), "several people in one record"
            whose = max(set(running.seen), key=running.seen.count)
            others = [name for name, theirs in self.enrolled.items() if theirs == whose and name != user]
            assert others == [], "one face under two names"
            self.enrolled[user] = whose
        elif result == "enroll_duplicate":
            assert set(running.seen) & {whose for name, whose in self.enrolled.items() if name != user}
        else:
            assert result == "enroll_failed" or running.error == "Timeout", running.replies

    @staticmethod
    def one_of(seen: list[str]) -> bool:
        """Whether all but outliers, a quarter at most, are of one person."""
        return max(seen.count(who) for who in set(seen)) >= 0.75 * len(seen)

    # --- what else may happen

    @precondition(lambda self: self.running is not None)
    @rule()
    def time_is_up(self) -> None:
        """The next frame comes too late."""
        running = self.running
        assert running is not None
        self.clock.time += _TIMEOUT_MS / 1000
        self.late = True
        self.show(NOBODY)
        assert self.running is not running, "it goes on beyond its time"

    @precondition(lambda self: self.running is not None)
    @rule()
    def cancel(self) -> None:
        running = self.running
        assert running is not None
        self.answer("Cancel")
        self.house.camera.give(1)
        self.do(self.settle())
        assert running.error == "Cancelled", running.replies
        self.ended()

    @precondition(lambda self: self.running is not None)
    @rule()
    def hang_up_on_it(self) -> None:
        self.hang_up()

    @precondition(lambda self: self.running is not None)
    @rule()
    def unplug(self) -> None:
        running = self.running
        assert running is not None
        self.house.camera.give(UNPLUGGED)
        self.do(self.settle())
        assert running.error == "CameraUnavailable", running.replies
        self.ended()

    @precondition(lambda self: self.running is None)
    @rule(gone=booleans())
    def plug(self, gone: bool) -> None:
        self.house.camera.unplugged = gone

    @rule(seconds=floats(0, 100))
    def wait(self, seconds: float) -> None:
        if self.running is None:
            self.clock.time += seconds

    @precondition(lambda self: self.running is None)
    @rule()
    def restart(self) -> None:
        self.stop()
        self.start()

    @rule(user=sampled_from(NAMES))
    def remove(self, user: str) -> None:
        known = user in self.enrolled
        subject = self.subject(user) if known else ""
        running = self.running
        if running is not None and running.user in (None, user):
            return  # who is overtaken is tested by itself, in test_attempts
        request = self.answer("RemoveUser", user=user)
        assert request.error == (None if known else "NotEnrolled")
        self.enrolled.pop(user, None)
        self.forget(subject)

    @rule(user=sampled_from([None, *NAMES]))
    def reset(self, user: str | None) -> None:
        request = self.answer("ResetLockout", user=user)
        known = user is None or user in self.enrolled
        assert request.error == (None if known else "NotEnrolled")
        if known:
            self.forget(DEVICE if user is None else self.subject(user))

    # --- what always holds

    @initialize(user=sampled_from(["anna", "bob"]))
    def somebody_is_enrolled(self, user: str) -> None:
        self.enrol(user, replace=False)
        self.stay(user)
        assert self.enrolled == {user: user}

    @invariant()
    def the_camera_is_lit_while_it_looks_and_closed_otherwise(self) -> None:
        camera, shown = self.house.camera, self.house.light.shown
        assert camera.wrongs == []
        assert camera.is_open == self.house.agent.worker.busy == (self.running is not None)
        assert (shown in (DARK, *RESULTS.values())) != camera.is_open, shown

    @invariant()
    def who_is_enrolled_is_listed_and_on_disk(self) -> None:
        listed = self.answer("ListUsers").replies[-1]["parameters"]["users"]
        assert sorted(user["name"] for user in listed) == sorted(self.enrolled)
        assert len(list(self.house.agent.config.state.glob("*.rec"))) == len(self.enrolled)

    @invariant()
    def failures_are_counted_exactly(self) -> None:
        counted = {subject: count.failures for subject, count in self.house.agent.lockout._counts.items()}
        assert counted == self.failures

    @invariant()
    def nothing_went_wrong_unseen(self) -> None:
        assert self.mishaps == []
        assert self.connections == (self.running is not None) + (self.waiting is not None)
