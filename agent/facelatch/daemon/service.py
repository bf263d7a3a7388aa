# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802 - the method names are those of the wire
"""``io.facelatch.Agent`` for one peer: who may ask, what is run, how its end is told. No score passes here."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from asyncvarlink import FileDescriptor

from facelatch.daemon import attempts, opening, replies, sealing
from facelatch.daemon.agent import Agent
from facelatch.daemon.attempts import (
    Duplicate,
    Enrolled,
    EnrollReport,
    Looked,
    Match,
    OtherPose,
    Refused,
    Retry,
    Spoof,
    Underway,
)
from facelatch.daemon.audit import MessageId
from facelatch.daemon.looking import Looking
from facelatch.daemon.policy import Action
from facelatch.daemon.roster import OvertakenError
from facelatch.daemon.signature import Statement
from facelatch.daemon.worker import Session
from facelatch.errors import DeviceKeyError, StorageError
from facelatch.hardware.indicator import REFUSED
from facelatch.ipc import interface as wire
from facelatch.ipc import words
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import MonitorEvent
from facelatch.l2fe import keys
from facelatch.vault.lockout import DEVICE, SPOOF
from facelatch.vault.record import Record


class AgentService(wire.AgentInterface):
    """Verification and enrolment, for whom the policy allows."""

    def __init__(self, agent: Agent, peer: Peer) -> None:
        self._agent = agent
        self._peer = peer
        self._looking = Looking(agent, peer)

    async def Verify(  # noqa: D102 - the interface has it
        self,
        *,
        user: str | None = None,
        challenge: str | None = None,
        audience: str | None = None,
        open_latch: bool | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[wire.VerifyReply]:
        self._require(Action.VERIFY, user)
        strike = None
        if open_latch:
            self._require(Action.OPEN_LATCH, None)
            strike = opening.armed(self._agent, self._peer)
        signed_for = self._audience(challenge, audience)
        async with aclosing(self._looking.recognise(user, timeout_ms)) as reports:
            async for report in reports:
                if isinstance(report, Underway):
                    yield {"progress": replies.progress(report)}
                elif isinstance(report, Match):
                    if strike is not None:
                        await opening.opened(self._agent, strike, self._peer, report.record.header.user)
                    yield self._matched(report, signed_for)
                else:
                    yield {"result": replies.failed(report)}

    async def Enroll(  # noqa: D102 - the interface has it
        self,
        *,
        user: str,
        administrator: bool | None = None,
        mode: words.EnrollMode | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[wire.EnrollReply]:
        agent = self._agent
        mode = mode or words.EnrollMode.new
        self._require(Action.REFRESH if mode is words.EnrollMode.add else Action.ENROLL, user)
        replies.require_user_name(user)
        before = agent.roster.get(user)
        match mode:
            case words.EnrollMode.new if before is not None:
                raise wire.AlreadyEnrolled(user=user)
            case words.EnrollMode.replace | words.EnrollMode.add if before is None:
                raise wire.NotEnrolled(user=user)
            case words.EnrollMode.add:
                async with aclosing(self._add(user, timeout_ms)) as added:
                    async for reply in added:
                        yield reply
                return
        config = agent.config.enroll
        timeout = replies.timeout(timeout_ms, config.timeout)
        plan = attempts.EnrolmentPlan(user, bool(administrator), config.frames, config.seconds, timeout, before)
        reports = agent.worker.run(
            lambda session: attempts.enrol(session, plan, agent.extractor, agent.roster), timeout, self._peer.uid
        )
        async with aclosing(self._looking.told(reports, user)) as told:
            async for report in told:
                yield await self._enrolment(report, user)

    async def Cancel(self) -> None:  # noqa: D102 - the interface has it
        everyones = self._agent.policy.is_administrator(self._peer)
        self._agent.worker.cancel(None if everyones else self._peer.uid)

    async def ListUsers(self) -> wire.ListUsersReply:  # noqa: D102 - the interface has it
        self._require(Action.LIST_USERS, None)
        wait = self._agent.lockout.wait
        return {"users": [replies.user(record, wait(record.header.record_id.hex())) for record in self._agent.roster]}

    async def RemoveUser(self, *, user: str) -> None:  # noqa: D102 - the interface has it
        self._require(Action.REMOVE_USER, user)
        try:
            await asyncio.to_thread(self._forget, user)
        except KeyError:
            raise wire.NotEnrolled(user=user) from None
        except StorageError as error:
            raise wire.StorageFault(what=str(error)) from error

    async def ResetLockout(self, *, user: str | None = None) -> None:  # noqa: D102 - the interface has it
        self._require(Action.RESET_LOCKOUT, user)
        subject = DEVICE
        if user is not None:
            subject = self._enrolled(user).header.record_id.hex()
        try:
            await asyncio.to_thread(self._reset, subject, user)
        except StorageError as error:
            raise wire.StorageFault(what=str(error)) from error

    async def Rekey(self) -> wire.RekeyReply:  # noqa: D102 - the interface has it
        self._require(Action.REKEY, None)
        agent = self._agent

        # On the camera's thread, so that no attempt runs between two keys; a peer that hangs up does not stop it.
        def renew(_: Session[None]) -> None:
            agent.renew_device_key()
            agent.audit.note(MessageId.rekeyed, self._peer, None)

        try:
            async with aclosing(self._looking.told(agent.worker.run(renew, math.inf, self._peer.uid), None)) as told:
                async for _ in told:
                    pass
        except DeviceKeyError as error:
            raise wire.StorageFault(what=str(error)) from error
        return {"key_id": agent.device_key.key_id.hex()}

    async def Seal(self, *, user: str, name: str, secret_fd: FileDescriptor) -> None:  # noqa: D102 - the interface has it
        self._require(Action.SEAL, user)
        await sealing.put(self._agent.secrets, self._enrolled(user), name, secret_fd)
        self._agent.audit.note(MessageId.sealed, self._peer, user)

    async def Unseal(  # noqa: D102 - the interface has it
        self, *, user: str, name: str, timeout_ms: int | None = None
    ) -> AsyncIterator[wire.UnsealReply]:
        agent = self._agent
        self._require(Action.UNSEAL, user)
        # Before anyone has to look into the camera for it.
        sealed = await sealing.box(agent.secrets, self._enrolled(user), name)
        async with aclosing(self._looking.recognise(user, timeout_ms)) as reports:
            async for report in reports:
                if isinstance(report, Underway):
                    yield {"progress": replies.progress(report)}
                elif isinstance(report, Match):
                    secret = sealing.opened(sealed, report.secret, user, name)
                    agent.audit.note(MessageId.unsealed, self._peer, user)
                    yield {"result": words.VerifyResult.verify_match, "secret_fd": secret}
                else:
                    yield {"result": replies.failed(report)}

    async def ForgetSecret(self, *, user: str, name: str) -> None:  # noqa: D102 - the interface has it
        self._require(Action.SEAL, user)
        await sealing.forget(self._agent.secrets, self._enrolled(user), name)
        self._agent.audit.note(MessageId.forgotten, self._peer, user)

    async def _add(self, user: str, timeout_ms: int | None) -> AsyncGenerator[wire.EnrollReply]:
        """Unlock, then move the record towards that look: a little, or for who may enrol anew, to the mean of both."""
        async with aclosing(self._looking.recognise(user, timeout_ms)) as reports:
            async for report in reports:
                if isinstance(report, Underway):
                    yield {"progress": replies.progress(report)}
                elif isinstance(report, Match):
                    yield await self._refreshed(report)
                elif isinstance(report, Spoof):
                    yield replies.not_added("not a live face")
                else:
                    yield replies.not_added("the face was not recognised")

    async def _refreshed(self, match: Match) -> wire.EnrollReply:
        roster, now = self._agent.roster, time.time_ns() // 1000
        # Two sittings on two days serve better than one (docs/accuracy.md), and bind nobody who could replace both.
        sitting = self._agent.policy.allows(self._peer, Action.ENROLL, match.record.header.user)
        record = await asyncio.to_thread(
            roster.refreshed, match.record, match.point, match.embedding, now, sitting=sitting
        )
        if record is None and sitting:
            return replies.not_added("looks are added eight times at most: enrol anew with --replace")
        if record is None:
            return replies.not_added("a look is added at most once a day, eight times in all, and only a good one")
        return await self._kept(record)

    # A peer that hangs up cancels its method but not the thread that writes: what is written is always in the log.
    def _store(self, record: Record) -> list[str]:
        """Store a record; return the names of the secrets that were sealed to the one that it replaces."""
        before = self._agent.roster.get(record.header.user)
        self._agent.roster.put(record)
        self._looking.tell(MonitorEvent.enrolled, record.header.user)
        if before is None or before.helper.seal_key == record.helper.seal_key:
            return []
        return self._agent.secrets.forget_all(before)

    def _reset(self, subject: str, user: str | None) -> None:
        self._agent.lockout.reset(subject)
        self._agent.lockout.reset(SPOOF)
        self._agent.audit.note(MessageId.lockout_reset, self._peer, user)

    def _forget(self, user: str) -> None:
        # The record first: a power cut then leaves secrets that nobody can open, which the next start removes.
        record = self._agent.roster.remove(user)
        self._looking.tell(MonitorEvent.removed, user)
        self._agent.secrets.forget_all(record)
        self._agent.lockout.reset(record.header.record_id.hex())

    def _enrolled(self, user: str) -> Record:
        record = self._agent.roster.get(user)
        if record is None:
            raise wire.NotEnrolled(user=user)
        return record

    def _require(self, action: Action, user: str | None) -> None:
        if not self._agent.policy.allows(self._peer, action, user):
            wanted = action.name.lower().replace("_", " ")
            self._agent.audit.refused(self._peer, user, wanted)
            raise wire.PermissionDenied(action=wanted)

    def _audience(self, challenge: str | None, audience: str | None) -> tuple[bytes, str] | None:
        if challenge is None and audience is None:
            return None
        if challenge is None or audience is None:
            missing = "challenge" if challenge is None else "audience"
            raise wire.InvalidArgument(parameter=missing, problem="challenge and audience go together")
        if not self._agent.policy.allows_audience(self._peer, audience):
            self._agent.audit.refused(self._peer, None, "sign for that audience")
            raise wire.PermissionDenied(action="sign for that audience")
        return replies.challenge(challenge), audience

    def _matched(self, match: Match, signed_for: tuple[bytes, str] | None) -> wire.VerifyReply:
        user = match.record.header.user
        now = time.time_ns() // 1000
        reply: wire.VerifyReply = {"result": words.VerifyResult.verify_match, "user": user, "time_usec": now}
        if signed_for is not None:
            challenge, audience = signed_for
            statement = Statement(self._agent.device_id, user, audience, self._peer.uid, now, challenge)
            reply["signature"] = replies.text(keys.signing_key(match.secret).sign(statement.encode()).signature)
            reply["public_key"] = replies.text(match.record.helper.verify_key)
            self._agent.audit.note(MessageId.signed, self._peer, user, f"for {audience}")
        return reply

    async def _enrolment(self, report: EnrollReport, user: str) -> wire.EnrollReply:
        match report:
            case Looked() | Retry() | OtherPose():
                return {"progress": replies.progress(report)}
            case Refused(refusal):
                self._not_enrolled(user, refusal.name.lower())
                return {"result": words.EnrollResult.enroll_failed, "reason": str(refusal)}
            case Duplicate():
                self._not_enrolled(user, "enrolled under another name")
                reason = "this face is enrolled under another name; remove that one first"
                return {"result": words.EnrollResult.enroll_duplicate, "reason": reason}
            case Enrolled(record):
                return await self._kept(record)

    def _not_enrolled(self, user: str, reason: str) -> None:
        self._agent.signals.result(REFUSED)
        self._agent.audit.note(MessageId.enroll_refused, self._peer, user, reason)

    async def _kept(self, record: Record) -> wire.EnrollReply:
        """Store a record, and say so."""
        try:
            forgotten = await asyncio.to_thread(self._store, record)
        except OvertakenError:
            user = record.header.user
            known = self._agent.roster.get(user) is not None
            raise (wire.AlreadyEnrolled if known else wire.NotEnrolled)(user=user) from None
        except StorageError as error:
            raise wire.StorageFault(what=str(error)) from error
        reply: wire.EnrollReply = {
            "result": words.EnrollResult.enroll_completed,
            "public_key": replies.text(record.helper.verify_key),
        }
        if forgotten:
            reply["reason"] = f"secrets sealed to the old key are gone, seal them again: {', '.join(forgotten)}"
        return reply
