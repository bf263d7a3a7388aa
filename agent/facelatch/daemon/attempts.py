# SPDX-License-Identifier: Apache-2.0
"""What happens in front of the camera: an attempt to unlock, and an enrolment. Run on the worker's thread."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from facelatch.daemon.liveness import Step, Turn, Watch
from facelatch.daemon.roster import Roster
from facelatch.daemon.stages import Stages
from facelatch.daemon.worker import DeadlineError, Session
from facelatch.face.encoder import unit
from facelatch.face.quality import Hint
from facelatch.l2fe.extractor import MAX_CANDIDATES, Extractor
from facelatch.l2fe.lattice import Integers
from facelatch.l2fe.strength import coset_bits
from facelatch.vault.lockout import DEVICE, SPOOF, Lockout
from facelatch.vault.record import Record

Embedding = npt.NDArray[np.float32]

# Good looks after which an attempt is decided: easy cases end at the first, hard ones get a steadier mean.
LOOKS = (1, 3, 5, 8)
# A look at somebody else has a cosine to the mean of about 0, one at the same person above 0.5.
MIN_COSINE = 0.4
# With more outliers than this it is not clear who is being enrolled.
MIN_KEPT = 0.75
# One person in a hundred of lfw-dev lies below 17.5 (tools.build_parameters' folds); at 2^16 guesses of a tenth of a
# second a search of everything that leaked takes under two hours.
MIN_COSET_BITS = 16.0
# Every third look of an enrolment is kept aside to see whether the record would open for it.
_HELD_OUT = 3


@dataclass(frozen=True)
class Retry:
    """A look that did not count, and what would help."""

    hint: Hint


@dataclass(frozen=True)
class Looked:
    """A look that counted; ``remaining`` is how many more an enrolment wants."""

    remaining: int | None = None


@dataclass(frozen=True)
class OtherPose:
    """A good look of a pose of which an enrolment has enough: it wants another one."""


@dataclass(frozen=True)
class Match:
    """Someone was recognised: whose record, the secret S their face unlocked, and from what. All of it short-lived."""

    record: Record
    secret: bytes
    point: Integers
    embedding: npt.ArrayLike


@dataclass(frozen=True)
class NoMatch:
    """Good looks, and nobody's key."""


@dataclass(frozen=True)
class Spoof:
    """What was seen is a picture of a face, or would not turn its head; nobody's key was tried."""


@dataclass(frozen=True)
class Broken:
    """The row of looks that liveness is judged by has broken: hold still."""


class Refusal(StrEnum):
    """Why an enrolment stores nothing; for the person who enrols."""

    SEVERAL = "more than one person was seen; enrol again with nobody else in view"
    WEAK = "a key from this face would be too easy to guess; use another way in"
    UNSTEADY = "the looks differ too much from each other; hold still, in even light, and enrol again"


@dataclass(frozen=True)
class Enrolled:
    """A record that is ready to be stored."""

    record: Record


@dataclass(frozen=True)
class Refused:
    """An enrolment that must not be stored."""

    reason: Refusal


@dataclass(frozen=True)
class Duplicate:
    """The face opens the record of another user, who is not named."""


Underway = Looked | Retry | Turn | Broken
VerifyReport = Underway | Match | NoMatch | Spoof
EnrollReport = Looked | Retry | OtherPose | Enrolled | Refused | Duplicate


class Attempt:
    """Looks for the key of one of some records, spending at most ``MAX_CANDIDATES`` Argon2id runs in all.

    Args:
        extractor: of the parameter set in use.
        roster: runs the second half of Rep.
        records: whom to try.
        lockout: where a failure is counted before it is known to be one, and forgotten on a match; None counts nothing.
        subject: whose failure it is.
        judged: what is tried was found live, so that a match forgets pictures that were held up before.
    """

    def __init__(
        self,
        extractor: Extractor,
        roster: Roster,
        records: Sequence[Record],
        lockout: Lockout | None = None,
        subject: str = DEVICE,
        *,
        judged: bool = False,
    ) -> None:
        self._extractor = extractor
        self._roster = roster
        self._records = records
        self._sketches = [record.helper.sketch for record in records]
        self._lockout = lockout
        self._subject = subject
        self._tried: set[tuple[int, bytes]] = set()
        self._charged = False
        self._judged = judged
        self._doubted = False

    def doubt(self) -> None:
        """Count that what is shown does not look live: before it is known, so that hanging up makes no try free.

        Raises:
            StorageError: it could not be counted.
        """
        if self._lockout is not None and not self._doubted:
            self._lockout.charge(SPOOF)
            self._doubted = True

    def decide(
        self,
        embedding: npt.ArrayLike,
        session: Session[VerifyReport] | Session[EnrollReport],
        *,
        early: bool = False,
    ) -> Match | None:
        """Try an embedding; the same candidate is never stretched twice.

        Args:
            embedding: (d,) unit length.
            session: may end it.
            early: better ones are to come, so guesses are spent on what is well inside the radius only.

        Raises:
            StorageError: the attempt could not be counted, so nothing was tried.
        """
        # Before the first guess, so that neither hanging up nor pulling the plug makes a guess free (ADR 0007).
        if self._lockout is not None and not self._charged:
            self._lockout.charge(self._subject)
            self._charged = True
        match = self._try(embedding, session, early)
        if match is not None and self._lockout is not None:
            self._lockout.reset(self._subject)
            if self._judged:
                self._lockout.reset(SPOOF)
        return match

    def _try(
        self, embedding: npt.ArrayLike, session: Session[VerifyReport] | Session[EnrollReport], early: bool
    ) -> Match | None:
        # One guess is kept for the last look, which is the steadiest.
        budget = MAX_CANDIDATES - 1 if early else MAX_CANDIDATES
        for candidate in self._extractor.candidates(embedding, self._sketches, early=early):
            key = (candidate.index, candidate.point.tobytes())
            if key in self._tried or len(self._tried) >= budget:
                continue
            self._tried.add(key)
            session.check(late=not early)
            record = self._records[candidate.index]
            secret = self._roster.secret(candidate.point, record)
            # Whoever was removed or enrolled anew while the camera looked is not let in by what they were before.
            if secret is not None and self._roster.get(record.header.user) is record:
                return Match(record, secret, candidate.point, embedding)
        return None


def verify(session: Session[VerifyReport], attempt: Attempt, watch: Watch | None = None) -> VerifyReport:
    """Look until someone matches, or ``LOOKS`` or time is used up; the camera is released before the answer.

    Args:
        session: the looks, and whom to tell of them.
        attempt: whose key is looked for.
        watch: judges liveness, and until it is content nothing is tried; None where it is not asked for.

    Raises:
        DeadlineError: time ran out before a single look counted.
    """
    total: Embedding | None = None
    good = 0
    try:
        with closing(session.looks()) as looks:
            for look in looks:
                if look.embedding is None:
                    session.report(Retry(_hint(look.hint)))
                    if watch is not None:
                        watch.missed(look.hint)
                    continue
                step = Step.LIVE if watch is None else watch.see(look, session.elapsed)
                if step in (Step.TURN, Step.SPOOF):
                    attempt.doubt()
                if step is Step.SPOOF:
                    return Spoof()
                session.report(_told(step, watch))
                if step is not Step.LIVE:
                    continue
                if watch is not None:
                    total = watch.total
                else:
                    total = look.embedding if total is None else total + look.embedding
                good += 1
                if good == LOOKS[-1]:
                    break
                if good in LOOKS:
                    match = attempt.decide(unit(total), session, early=True)
                    if match is not None:
                        return match
    except DeadlineError:
        if total is None:
            raise
    return NoMatch() if total is None else attempt.decide(unit(total), session) or NoMatch()


@dataclass(frozen=True)
class EnrolmentPlan:
    """How looks are gathered for an enrolment.

    Attributes:
        user: whom to enrol.
        administrator: whether they may manage others.
        frames: good looks wanted.
        seconds: time they are spread over at least.
        timeout: time that the whole may take.
        before: the user's record as it was when they asked, which alone may be replaced.
    """

    user: str
    administrator: bool
    frames: int
    seconds: float
    timeout: float
    before: Record | None = None

    @property
    def patience(self) -> int:
        """How many good looks may go by while another pose is asked for: at most half of the spare time goes so."""
        spare = max(0.0, self.timeout - self.seconds) / 2
        return int(self.frames * min(1.0, spare / self.seconds))


def enrol(session: Session[EnrollReport], plan: EnrolmentPlan, extractor: Extractor, roster: Roster) -> EnrollReport:
    """Gather looks, see that the record would open for some kept aside, and make it; it is stored by the caller.

    Raises:
        DeadlineError: not enough good looks in the time given.
    """
    gathered = _gather(session, plan)
    looks = _without_outliers(gathered)
    if len(looks) < MIN_KEPT * len(gathered):
        return Refused(Refusal.SEVERAL)
    aside = np.arange(len(looks)) % _HELD_OUT == _HELD_OUT - 1
    if not _opens(extractor, looks[~aside], looks[aside]):
        return Refused(Refusal.UNSTEADY)
    embedding = unit(looks.sum(axis=0))
    parameters = extractor.parameters
    if coset_bits(extractor.project(embedding), parameters.spread, parameters.cell) < MIN_COSET_BITS:
        return Refused(Refusal.WEAK)
    others = [record for record in roster if record.header.user != plan.user]
    if Attempt(extractor, roster, others).decide(embedding, session) is not None:
        return Duplicate()
    record = roster.make(plan.user, embedding, administrator=plan.administrator, before=plan.before)
    return Enrolled(record)


def _gather(session: Session[EnrollReport], plan: EnrolmentPlan) -> Embedding:
    """Collect (frames, d) embeddings of several poses, as offered; one good look in every ``seconds / frames``."""
    good: list[Embedding] = []
    stages = Stages(plan.frames, plan.patience)
    due = 0.0
    with closing(session.looks()) as looks:
        for look in looks:
            if session.elapsed < due:
                continue
            if look.embedding is None:
                session.report(Retry(_hint(look.hint)))
                continue
            # Time lost to poor looks is not made up for by a burst of equal ones.
            due = session.elapsed + plan.seconds / plan.frames
            if not stages.takes(look.attitude):
                session.report(OtherPose())
                continue
            good.append(look.embedding)
            session.report(Looked(remaining=plan.frames - len(good)))
            if len(good) == plan.frames:
                break
    return np.stack(good)


def _without_outliers(looks: Embedding) -> Embedding:
    """Drop the looks (m, d) that are of somebody else, by their cosine to the mean of all."""
    cosines = looks @ unit(looks.sum(axis=0)) / np.linalg.norm(looks, axis=1)
    kept: Embedding = looks[cosines >= MIN_COSINE]
    return kept


def _opens(extractor: Extractor, enrolled: Embedding, attempt: Embedding) -> bool:
    """Tell whether a record made from the first looks (m, d) would open for the second; no Argon2id, nothing kept."""
    zero = np.zeros(extractor.parameters.k, dtype=np.int64)
    sketch = extractor.sketch(unit(enrolled.sum(axis=0)), bytes(32), zero)
    return any(not found.point.any() for found in extractor.candidates(unit(attempt.sum(axis=0)), [sketch]))


def _told(step: Step, watch: Watch | None) -> Underway:
    if step is Step.RETRY:
        return Broken()
    asked = None if watch is None else watch.turn
    return Looked() if asked is None else asked


def _hint(hint: Hint | None) -> Hint:
    return hint if hint is not None else Hint.NO_FACE
