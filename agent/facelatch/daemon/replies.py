# SPDX-License-Identifier: Apache-2.0
"""From the agent's own terms to the socket's, and the bounds of what the socket takes."""

from __future__ import annotations

import base64
import math
import re
import time

from facelatch.daemon.attempts import Broken, Looked, NoMatch, OtherPose, Retry, Spoof
from facelatch.daemon.liveness import Turn
from facelatch.daemon.signature import MAX_CHALLENGE_BYTES, MIN_CHALLENGE_BYTES
from facelatch.ipc import interface as wire
from facelatch.ipc import words
from facelatch.vault.lockout import Wait
from facelatch.vault.record import MAX_USER_BYTES, Record

# Long enough for someone to walk up, short enough that a forgotten request frees the camera.
MAX_TIMEOUT_MS = 120_000
# The largest time that every JSON reader takes as a whole number.
_NEVER_USEC = 2**53 - 1
# Login names as shadow-utils takes them, with dots and capitals allowed for directory services.
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


def progress(report: Looked | Retry | OtherPose | Turn | Broken) -> wire.Progress:
    """Tell one look."""
    if isinstance(report, OtherPose):
        return wire.Progress(words.ProgressResult.enroll_retry_pose)
    if isinstance(report, Turn):
        return wire.Progress(words.ProgressResult.verify_retry_turn_head, report.degrees)
    if isinstance(report, Broken):
        return wire.Progress(words.ProgressResult.verify_retry_hold_still)
    if isinstance(report, Retry):
        return wire.Progress(words.ProgressResult[report.hint.value])
    if report.remaining is None:
        return wire.Progress(words.ProgressResult.verify_look)
    return wire.Progress(words.ProgressResult.enroll_stage_passed, report.remaining)


def failed(report: NoMatch | Spoof) -> words.VerifyResult:
    """Tell how an attempt ended that unlocked nothing."""
    return words.VerifyResult.verify_spoof if isinstance(report, Spoof) else words.VerifyResult.verify_no_match


def not_added(reason: str) -> wire.EnrollReply:
    """Tell why a look was not added to a record."""
    return {"result": words.EnrollResult.enroll_failed, "reason": reason}


def user(record: Record, wait: Wait | None) -> wire.User:
    """Describe an enrolled user, and what their next attempt must wait for."""
    return wire.User(
        name=record.header.user,
        administrator=record.account.administrator,
        enrolled_usec=record.account.enrolled_usec,
        public_key=text(record.helper.verify_key),
        locked_until_usec=None if wait is None else _end(wait),
    )


def waiting(wait: Wait) -> str:
    """Tell the journal for how long nobody is let in."""
    return "until it is reset" if wait.seconds is None else f"for {math.ceil(wait.seconds)} s"


def _end(wait: Wait) -> int:
    """Tell when a wait ends, in microseconds since the epoch; the end of time where only a reset ends it."""
    return _NEVER_USEC if wait.seconds is None else time.time_ns() // 1000 + int(wait.seconds * 1e6)


def timeout(asked_ms: int | None, default: float) -> float:
    """Return the seconds an attempt may take.

    Raises:
        InvalidArgument: out of bounds.
    """
    if asked_ms is None:
        return default
    if not 0 < asked_ms <= MAX_TIMEOUT_MS:
        raise wire.InvalidArgument(parameter="timeout_ms", problem=f"is not between 1 and {MAX_TIMEOUT_MS}")
    return asked_ms / 1000


def challenge(given: str) -> bytes:
    """Read what is to be signed.

    Raises:
        InvalidArgument: it is not base64, or too short or too long.
    """
    try:
        nonce = base64.b64decode(given, validate=True)
    except ValueError:
        raise wire.InvalidArgument(parameter="challenge", problem="is not base64") from None
    if not MIN_CHALLENGE_BYTES <= len(nonce) <= MAX_CHALLENGE_BYTES:
        bounds = f"has {len(nonce)} bytes, not {MIN_CHALLENGE_BYTES} to {MAX_CHALLENGE_BYTES}"
        raise wire.InvalidArgument(parameter="challenge", problem=bounds)
    return nonce


def require_user_name(name: str) -> None:
    """Check a name to be enrolled.

    Raises:
        InvalidArgument: it could not be a login name.
    """
    if len(name.encode()) > MAX_USER_BYTES or not _USER.fullmatch(name):
        raise wire.InvalidArgument(parameter="user", problem="is not a login name")


def text(data: bytes) -> str:
    """Write bytes as the socket has them: base64."""
    return base64.b64encode(data).decode("ascii")
