# SPDX-License-Identifier: Apache-2.0
"""How hard properties are tried: the same examples every time in CI, more of them by FACELATCH_EFFORT=100."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

EFFORT = int(os.environ.get("FACELATCH_EFFORT", "1"))
_CI = "CI" in os.environ


def effort(examples: int, steps: int) -> settings:
    """Settings of a state machine: so many examples, times the effort asked for, of so many steps."""
    return settings(
        max_examples=examples * EFFORT,
        stateful_step_count=steps,
        deadline=None,
        derandomize=_CI,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def control(examples: int, steps: int) -> settings:
    """Settings of a machine that must fail: the same every time, and no time is spent on a shorter example."""
    return settings(effort(examples, steps), derandomize=True, database=None, phases=[Phase.generate])
