# SPDX-License-Identifier: Apache-2.0
"""The figures as text, for the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NOT_HELD_OUT = (
    "NOT HELD OUT: the parameter set was fitted to this very data set, which flatters every figure; see --cross-fit."
)
_NOBODY = "Nobody has images enough that pass the quality gate: only the failure to acquire could be measured."
_NAMED = 20
# Bits by which knowing the mean of these people may fall short before it is said.
_OFF_BITS = 3.0


def render(figures: Mapping[str, object]) -> str:
    """Return a table of all figures, and above it what a reader must not miss."""
    lines = warnings(figures)
    lines += ["| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows(figures)]
    return "\n".join(lines)


def warnings(figures: Mapping[str, object]) -> list[str]:
    """Say what takes weight from the figures."""
    said = []
    if not figures["held_out"]:
        said.append(_NOT_HELD_OUT)
    if not figures["identities"]:
        said.append(_NOBODY)
    bits, centred = figures["guesswork_bits"], figures["guesswork_bits_centred"]
    if isinstance(bits, float) and isinstance(centred, float) and bits - centred > _OFF_BITS:
        said.append(
            "These people lie off the population model's mean, so guesswork_bits and success_at flatter: to someone "
            f"who knows where, the median is {centred:.1f} bits, not {bits:.1f}; see the figures that end in _centred."
        )
    unreadable = figures["unreadable"]
    assert isinstance(unreadable, list)
    if unreadable:
        more = f" and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
        said.append(f"Unreadable: {', '.join(unreadable[:_NAMED])}{more}")
    return said


def rows(figures: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return name and value of each figure but the curve, which is a picture's matter."""
    return [(name, text(value)) for name, value in figures.items() if name not in ("guesswork_at_frr", "unreadable")]


def text(value: object) -> str:
    """Write a value for people: four digits of a number, both ends of an interval."""
    if value is None:
        return "not measured"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {text(part)}" for key, part in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " to ".join(text(part) for part in value)
    return str(value)
