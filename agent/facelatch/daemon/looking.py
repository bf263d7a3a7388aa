# SPDX-License-Identifier: Apache-2.0
"""What a peer has the camera look for: whether it may, who comes first, and how the end of a look is told."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import TypeVar

from facelatch.daemon import attempts, replies
from facelatch.daemon.agent import Agent
from facelatch.daemon.attempts import Match, NoMatch, Spoof, VerifyReport
from facelatch.daemon.audit import MessageId
from facelatch.daemon.liveness import Watch
from facelatch.daemon.worker import BusyError, DeadlineError, StoppedError
from facelatch.errors import CameraError, StorageError
from facelatch.ipc import interface as wire
from facelatch.ipc import words
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import Liveness, MonitorEvent
from facelatch.vault.lockout import DEVICE, SPOOF, Wait

_REPORT = TypeVar("_REPORT")

PRECEDENCE_S = 2.0
"""For so long whoever comes first waits for the camera. Before somebody's face an attempt takes a fraction of that."""


class Looking:
    """The requests of one peer that need the camera.

    Args:
        agent: the agent.
        peer: who asks.
    """

    def __init__(self, agent: Agent, peer: Peer) -> None:
        self._agent = agent
        self._peer = peer

    async def recognise(self, user: str | None, timeout_ms: int | None) -> AsyncGenerator[VerifyReport]:
        """Look for a face; note how it ends, and tell that nobody matched no sooner than the configuration has it.

        Raises:
            As ``_watch``, ``_attempt`` and ``told``; InvalidArgument: the timeout is out of bounds.
        """
        agent = self._agent
        timeout = replies.timeout(timeout_ms, agent.config.verify.timeout)
        first = agent.policy.comes_first(self._peer)
        # Who may try is asked after the wait, since what it waits for may be the failure that bars this attempt.
        async with agent.worker.precedence(PRECEDENCE_S) if first else nullcontext():
            started = time.monotonic()
            watch = self._watch()
            attempt = self._attempt(user, judged=watch is not None)
            reports = agent.worker.run(
                lambda session: attempts.verify(session, attempt, watch), timeout, self._peer.uid
            )
            async with aclosing(self.told(reports, user, watch)) as told:
                async for report in told:
                    await self._note(report, user, started)
                    yield report

    async def _note(self, report: VerifyReport, user: str | None, started: float) -> None:
        """Tell how an attempt ended, if this is its end."""
        if isinstance(report, Match):
            self.tell(MonitorEvent.verify_match, report.record.header.user)
        elif isinstance(report, Spoof):
            self.tell(MonitorEvent.verify_spoof, user)
        elif isinstance(report, NoMatch):
            # Always at the same time after the beginning, whoever was asked for and whatever was tried; and written
            # down even if nobody waits for it.
            try:
                await asyncio.sleep(max(0.0, started + self._agent.config.verify.no_match_after - time.monotonic()))
            finally:
                self.tell(MonitorEvent.verify_no_match, user)

    def _watch(self) -> Watch | None:
        """Prepare to judge liveness; None where it is not asked for or cannot be judged.

        Raises:
            CameraUnavailable: it is required, and the camera shows the past.
        """
        asked = self._agent.liveness
        if asked is Liveness.not_evaluated and self._agent.config.liveness == "required":
            detail = "a replay cannot show that a face is live: choose another camera, or set liveness in the config"
            raise wire.CameraUnavailable(reason=words.CameraReason.misconfigured, detail=detail)
        return Watch(asks=asked is Liveness.required) if asked in (Liveness.required, Liveness.prefer) else None

    def _attempt(self, user: str | None, *, judged: bool) -> attempts.Attempt:
        """Prepare an attempt on the named user, or on everyone.

        To a peer who may not know who is enrolled, an unknown name looks like a face that does not match.

        Raises:
            NotEnrolled: nobody is enrolled by that name, and the peer may know it.
            LockedOut: too many failed before, or held pictures up.
        """
        agent, subject = self._agent, DEVICE
        record = agent.roster.get(user) if user is not None else None
        if record is not None:
            subject, records = record.header.record_id.hex(), [record]
        elif user is None:
            # Whose face is off is not to be guessed at namelessly either; a wait of theirs does not bar the door.
            records = [r for r in agent.roster if agent.lockout.wait(r.header.record_id.hex()) != Wait(None)]
        elif agent.policy.may_know(self._peer, user):
            raise wire.NotEnrolled(user=user)
        else:
            records = []
        wait = agent.lockout.wait(subject) or (agent.lockout.wait(SPOOF) if judged else None)
        if wait is not None:
            self.tell(MonitorEvent.locked_out, user, replies.waiting(wait))
            raise wire.LockedOut(retry_after_ms=None if wait.seconds is None else math.ceil(wait.seconds * 1000))
        return attempts.Attempt(agent.extractor, agent.roster, records, agent.lockout, subject, judged=judged)

    def tell(self, event: MonitorEvent, user: str | None, reason: str = "") -> None:
        """Write an event down, hand it out, and show it."""
        self._agent.audit.tell(event, self._peer, user, reason)
        self._agent.signals.event(event)

    async def told(
        self, reports: AsyncGenerator[_REPORT], user: str | None, watch: Watch | None = None
    ) -> AsyncGenerator[_REPORT]:
        """Pass reports on, and turn a job's end into the socket's errors.

        Raises:
            Busy, Timeout, Cancelled, StorageFault, CameraUnavailable: it ended without a result.
        """
        try:
            async with aclosing(reports):
                async for report in reports:
                    self._agent.signals.progress(report)
                    yield report
        except BusyError:
            raise wire.Busy from None
        except DeadlineError:
            self.tell(MonitorEvent.verify_timeout, user, "" if watch is None else watch.reason)
            raise wire.Timeout from None
        except StoppedError:
            raise wire.Cancelled from None
        except StorageError as error:
            self._agent.audit.note(MessageId.storage_fault, self._peer, user, str(error))
            raise wire.StorageFault(what=str(error)) from error
        except CameraError as error:
            self.tell(MonitorEvent.camera_fault, None, str(error))
            raise wire.CameraUnavailable(reason=words.CameraReason[error.fault.value], detail=str(error)) from error
