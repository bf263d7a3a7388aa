# SPDX-License-Identifier: Apache-2.0
"""The words of the wire, in fprintd's vocabulary where it has one.

A member's *name* is what travels, which is why the names are in lower case.
"""

from __future__ import annotations

from enum import Enum, auto


class Word(Enum):
    """A closed set of words; ``str(word)`` and ``word.name`` are what is sent."""

    def __str__(self) -> str:
        """Give the word as it travels."""
        return self.name


class ComponentState(Word):
    """How a part of the agent is."""

    ok = auto()
    weak = auto()
    missing = auto()
    failed = auto()


class CameraState(Word):
    """Whether the camera is in use; ``unavailable`` when it failed as it was last used, or checked at the start."""

    idle = auto()
    in_use = auto()
    unavailable = auto()


class Liveness(Word):
    """What the configuration asks of the liveness check, or that nobody has measured it."""

    required = auto()
    prefer = auto()
    off = auto()
    not_evaluated = auto()


class MonitorEvent(Word):
    """What happened, for those who watch."""

    verify_match = auto()
    verify_no_match = auto()
    verify_spoof = auto()
    verify_timeout = auto()
    locked_out = auto()
    enrolled = auto()
    removed = auto()
    latch_opened = auto()
    latch_closed = auto()
    camera_fault = auto()


class ProgressResult(Word):
    """What the last look at the camera gave, and what the person might do about it."""

    verify_look = auto()
    verify_retry_no_face = auto()
    verify_retry_too_far = auto()
    verify_retry_too_close = auto()
    verify_retry_off_centre = auto()
    verify_retry_too_dark = auto()
    verify_retry_too_bright = auto()
    verify_retry_blurred = auto()
    verify_retry_turn_head = auto()
    verify_retry_hold_still = auto()
    verify_retry_several_faces = auto()
    enroll_stage_passed = auto()
    enroll_retry_pose = auto()


class VerifyResult(Word):
    """How a verification ended."""

    verify_match = auto()
    verify_no_match = auto()
    verify_spoof = auto()


class EnrollMode(Word):
    """What to do about a name that is, or is not, enrolled already."""

    new = auto()
    replace = auto()
    add = auto()


class EnrollResult(Word):
    """How an enrolment ended."""

    enroll_completed = auto()
    enroll_failed = auto()
    enroll_duplicate = auto()


class CameraReason(Word):
    """Why the camera does not deliver: the same words as :class:`facelatch.errors.CameraFault`."""

    busy = auto()
    unplugged = auto()
    dark = auto()
    frozen = auto()
    no_permission = auto()
    misconfigured = auto()
