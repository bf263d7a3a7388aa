# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802 - the method names are those of the wire
"""The socket's methods: who may ask, what is run, and how its end is told. No score or distance passes here."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from facelatch import __version__
from facelatch.config import Config
from facelatch.daemon import attempts
from facelatch.daemon.attempts import Duplicate, Enrolled, EnrollReport, Looked, Match, Refused, Retry
from facelatch.daemon.policy import Action, Policy
from facelatch.daemon.roster import Roster
from facelatch.daemon.signature import MAX_CHALLENGE_BYTES, MIN_CHALLENGE_BYTES, Statement
from facelatch.daemon.worker import BusyError, DeadlineError, StoppedError, Worker
from facelatch.errors import CameraError, StorageError
from facelatch.ipc import interface as wire
from facelatch.ipc import words
from facelatch.ipc.peer import Peer
from facelatch.l2fe import keys
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.record import MAX_USER_BYTES, Record

_log = logging.getLogger(__name__)

_REPORT = TypeVar("_REPORT")
_DEVICE_ID_BYTES = 16
# Long enough for someone to walk up, short enough that a forgotten request frees the camera.
MAX_TIMEOUT_MS = 120_000
# Login names as shadow-utils takes them, with dots and capitals allowed for directory services.
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Agent:
    """Everything the methods work on; one for the daemon's life."""

    config: Config
    policy: Policy
    device_key: DeviceKey
    extractor: Extractor
    roster: Roster
    worker: Worker
    live_camera: bool

    @property
    def device_id(self) -> bytes:
        """Names the device in signatures; 16 bytes."""
        return self.device_key.derive("device-id")[:_DEVICE_ID_BYTES]


class StatusService(wire.StatusInterface):
    """``io.facelatch.Status`` for one peer."""

    def __init__(self, agent: Agent, peer: Peer) -> None:
        self._agent = agent
        self._peer = peer

    async def GetStatus(self) -> wire.StatusReply:  # noqa: D102 - the interface has it
        agent, key = self._agent, self._agent.device_key
        return {
            "version": __version__,
            "parameter_set": agent.extractor.parameters.name,
            "ready": True,
            "users": len(agent.roster),
            "camera": words.CameraState.in_use if agent.worker.busy else words.CameraState.idle,
            "liveness": words.Liveness.off if agent.live_camera else words.Liveness.not_evaluated,
            "components": [
                wire.Component("device", words.ComponentState.ok, f"id {agent.device_id.hex()}"),
                wire.Component(
                    "device_key",
                    words.ComponentState.weak if key.weak else words.ComponentState.ok,
                    f"{key.provider}, id {key.key_id.hex()}"
                    + ("; it lies on the same card as the records" if key.weak else ""),
                ),
            ],
        }


class AgentService(wire.AgentInterface):
    """``io.facelatch.Agent`` for one peer."""

    def __init__(self, agent: Agent, peer: Peer) -> None:
        self._agent = agent
        self._peer = peer

    async def Verify(  # noqa: D102 - the interface has it
        self,
        *,
        user: str | None = None,
        challenge: str | None = None,
        audience: str | None = None,
        open_latch: bool | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[wire.VerifyReply]:
        agent = self._agent
        self._require(Action.VERIFY, user)
        if open_latch:
            raise wire.InvalidArgument(parameter="open_latch", problem="no latch is configured")
        signed_for = self._audience(challenge, audience)
        timeout = _timeout(timeout_ms, agent.config.verify.timeout)
        attempt = attempts.Attempt(agent.extractor, agent.roster, self._to_try(user))
        reports = agent.worker.run(lambda session: attempts.verify(session, attempt), timeout, self._peer.uid)
        async with aclosing(_told(reports)) as told:
            async for report in told:
                if isinstance(report, Looked | Retry):
                    yield {"progress": _progress(report)}
                elif isinstance(report, Match):
                    yield self._matched(report, signed_for)
                else:
                    self._audit("verify_no_match", user)
                    yield {"result": words.VerifyResult.verify_no_match}

    async def Enroll(  # noqa: D102 - the interface has it
        self,
        *,
        user: str,
        administrator: bool | None = None,
        mode: words.EnrollMode | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[wire.EnrollReply]:
        agent = self._agent
        self._require(Action.ENROLL, user)
        _require_user_name(user)
        known = agent.roster.get(user) is not None
        match mode or words.EnrollMode.new:
            case words.EnrollMode.new if known:
                raise wire.AlreadyEnrolled(user=user)
            case words.EnrollMode.replace if not known:
                raise wire.NotEnrolled(user=user)
            case words.EnrollMode.add:
                raise wire.InvalidArgument(parameter="mode", problem="add is not available in this version")
        config = agent.config.enroll
        plan = attempts.EnrolmentPlan(user, bool(administrator), config.frames, config.seconds)
        timeout = _timeout(timeout_ms, config.timeout)
        reports = agent.worker.run(
            lambda session: attempts.enrol(session, plan, agent.extractor, agent.roster), timeout, self._peer.uid
        )
        async with aclosing(_told(reports)) as told:
            async for report in told:
                yield await self._enrolment(report)

    async def Cancel(self) -> None:  # noqa: D102 - the interface has it
        everyones = self._agent.policy.is_administrator(self._peer)
        self._agent.worker.cancel(None if everyones else self._peer.uid)

    async def ListUsers(self) -> wire.ListUsersReply:  # noqa: D102 - the interface has it
        self._require(Action.LIST_USERS, None)
        return {"users": [_user(record) for record in self._agent.roster]}

    async def RemoveUser(self, *, user: str) -> None:  # noqa: D102 - the interface has it
        self._require(Action.REMOVE_USER, user)
        try:
            await asyncio.to_thread(self._forget, user)
        except KeyError:
            raise wire.NotEnrolled(user=user) from None
        except StorageError as error:
            raise wire.StorageFault(what=str(error)) from error

    # A peer that hangs up cancels its method but not the thread that writes: what is written is always in the log.
    def _store(self, record: Record) -> None:
        self._agent.roster.put(record)
        self._audit("enrolled", record.header.user)

    def _forget(self, user: str) -> None:
        self._agent.roster.remove(user)
        self._audit("removed", user)

    def _require(self, action: Action, user: str | None) -> None:
        if not self._agent.policy.allows(self._peer, action, user):
            self._audit(f"refused {action.name.lower()}", user)
            raise wire.PermissionDenied(action=action.name.lower())

    def _to_try(self, user: str | None) -> list[Record]:
        """Whom to compare with: all, or the named one; a stranger learns of an unknown name only that it fails."""
        if user is None:
            return list(self._agent.roster)
        record = self._agent.roster.get(user)
        if record is not None:
            return [record]
        if self._agent.policy.may_know(self._peer, user):
            raise wire.NotEnrolled(user=user)
        return []

    def _audience(self, challenge: str | None, audience: str | None) -> tuple[bytes, str] | None:
        if challenge is None and audience is None:
            return None
        if challenge is None or audience is None:
            missing = "challenge" if challenge is None else "audience"
            raise wire.InvalidArgument(parameter=missing, problem="challenge and audience go together")
        if not self._agent.policy.allows_audience(self._peer, audience):
            raise wire.PermissionDenied(action="sign for that audience")
        try:
            nonce = base64.b64decode(challenge, validate=True)
        except binascii.Error:
            raise wire.InvalidArgument(parameter="challenge", problem="is not base64") from None
        if not MIN_CHALLENGE_BYTES <= len(nonce) <= MAX_CHALLENGE_BYTES:
            bounds = f"has {len(nonce)} bytes, not {MIN_CHALLENGE_BYTES} to {MAX_CHALLENGE_BYTES}"
            raise wire.InvalidArgument(parameter="challenge", problem=bounds)
        return nonce, audience

    def _matched(self, match: Match, signed_for: tuple[bytes, str] | None) -> wire.VerifyReply:
        user = match.record.header.user
        now = time.time_ns() // 1000
        self._audit("verify_match", user)
        reply: wire.VerifyReply = {"result": words.VerifyResult.verify_match, "user": user, "time_usec": now}
        if signed_for is not None:
            challenge, audience = signed_for
            statement = Statement(self._agent.device_id, user, audience, self._peer.uid, now, challenge)
            signature = keys.signing_key(match.secret).sign(statement.encode()).signature
            reply["signature"] = _base64(signature)
            reply["public_key"] = _base64(match.record.helper.verify_key)
        return reply

    async def _enrolment(self, report: EnrollReport) -> wire.EnrollReply:
        match report:
            case Looked() | Retry():
                return {"progress": _progress(report)}
            case Refused(reason):
                return {"result": words.EnrollResult.enroll_failed, "reason": str(reason)}
            case Duplicate():
                return {
                    "result": words.EnrollResult.enroll_duplicate,
                    "reason": "this face is enrolled under another name; remove that one first",
                }
            case Enrolled(record):
                try:
                    await asyncio.to_thread(self._store, record)
                except StorageError as error:
                    raise wire.StorageFault(what=str(error)) from error
                return {
                    "result": words.EnrollResult.enroll_completed,
                    "public_key": _base64(record.helper.verify_key),
                }

    def _audit(self, event: str, user: str | None) -> None:
        _log.info("%s user=%s peer_uid=%d peer_pid=%d", event, user or "-", self._peer.uid, self._peer.pid)


async def _told(reports: AsyncGenerator[_REPORT]) -> AsyncGenerator[_REPORT]:
    """Pass reports on, and turn a job's end into the socket's errors."""
    try:
        async with aclosing(reports):
            async for report in reports:
                yield report
    except BusyError:
        raise wire.Busy from None
    except DeadlineError:
        raise wire.Timeout from None
    except StoppedError:
        raise wire.Cancelled from None
    except CameraError as error:
        _log.warning("camera: %s", error)
        raise wire.CameraUnavailable(reason=words.CameraReason[error.fault.value], detail=str(error)) from error


def _progress(report: Looked | Retry) -> wire.Progress:
    if isinstance(report, Retry):
        return wire.Progress(words.ProgressResult[report.hint.value])
    if report.remaining is None:
        return wire.Progress(words.ProgressResult.verify_look)
    return wire.Progress(words.ProgressResult.enroll_stage_passed, report.remaining)


def _user(record: Record) -> wire.User:
    return wire.User(
        name=record.header.user,
        administrator=record.administrator,
        enrolled_usec=record.enrolled_usec,
        public_key=_base64(record.helper.verify_key),
    )


def _timeout(asked_ms: int | None, default: float) -> float:
    if asked_ms is None:
        return default
    if not 0 < asked_ms <= MAX_TIMEOUT_MS:
        raise wire.InvalidArgument(parameter="timeout_ms", problem=f"is not between 1 and {MAX_TIMEOUT_MS}")
    return asked_ms / 1000


def _require_user_name(user: str) -> None:
    if len(user.encode()) > MAX_USER_BYTES or not _USER.fullmatch(user):
        raise wire.InvalidArgument(parameter="user", problem="is not a login name")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
