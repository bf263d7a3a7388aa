# SPDX-License-Identifier: Apache-2.0
"""What a person is told, for each word of the socket."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {
    "verify_look": "looking",
    "verify_retry_no_face": "no face in view: step in front of the camera",
    "verify_retry_too_far": "too far away: come closer",
    "verify_retry_too_close": "too close: step back",
    "verify_retry_off_centre": "partly out of view: move to the middle",
    "verify_retry_too_dark": "too dark: turn on a light",
    "verify_retry_too_bright": "too bright: turn away from the light",
    "verify_retry_blurred": "blurred: hold still, or clean the lens",
    "verify_retry_turn_head": "turn your face to the camera",
    "verify_retry_hold_still": "hold still",
    "verify_retry_several_faces": "several faces in view: one at a time",
    "enroll_retry_pose": "turn your head a little: to one side, to the other, up or down",
    "verify_match": "match",
    "verify_no_match": "no match",
    "verify_spoof": "not a live face",
    "enroll_completed": "enrolled",
    "enroll_failed": "not enrolled",
    "enroll_duplicate": "not enrolled",
    "verify_timeout": "nobody seen in time",
}

_ERRORS = {
    "PermissionDenied": "you may not {action}: ask root or an administrator named in the config",
    "NotEnrolled": "{user} is not enrolled: enrol them first with 'facelatch enroll {user}'",
    "AlreadyEnrolled": "{user} is enrolled already: use --replace for new keys, or remove them first",
    "NoSuchSecret": "there is no sealed secret {name}: check the name",
    "Busy": "the camera is in use for somebody else: try again in a moment",
    "CameraUnavailable": "{detail}",
    "Timeout": "nobody was seen well enough in time: face the camera in good light and try again",
    "Cancelled": "cancelled: try again when you are ready",
    "StorageFault": "{what}",
    "InvalidArgument": "{parameter} {problem}: correct it and try again",
    "MethodNotImplemented": "this version of the agent does not do {method}: update it",
}


def describe_word(word: str) -> str:
    """Say a result or a progress word in plain English; an unknown one as it is."""
    return _WORDS.get(word, word.replace("_", " "))


def describe_progress(word: str, remaining: int | None) -> str:
    """Say one look's progress."""
    if word == "enroll_stage_passed":
        return f"good, {remaining} more" if remaining else "good, that is enough"
    if word == "verify_retry_turn_head" and remaining is not None:
        return f"turn your head a little to your {'left' if remaining > 0 else 'right'}, and hold it there"
    return describe_word(word)


def describe_error(name: str, parameters: Mapping[str, object]) -> str:
    """Say an error of the socket in one line: what is wrong, and what to do."""
    if name == "LockedOut":
        return f"too many failed attempts: use the key or the password{_or_wait(parameters.get('retry_after_ms'))}"
    template = _ERRORS.get(name, "the agent answered {name}: look into its journal")
    return template.format_map({"name": name, **parameters})


def _or_wait(milliseconds: object) -> str:
    if not isinstance(milliseconds, int):
        return "; an administrator can reset it with 'facelatch unlock-lockout USER'"
    seconds = -(-milliseconds // 1000)
    return f", or wait {seconds} s" if seconds < 120 else f", or wait {-(-seconds // 60)} minutes"
