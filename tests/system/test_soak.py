# SPDX-License-Identifier: Apache-2.0
"""A short soak and a short load, and that both would tell. ``python -m tests.soak`` and ``tests.load`` take longer."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from facelatch.errors import AgentUnreachableError
from tests.agent import GUARD_SECONDS, PROGRAM, agent_in_temporary_directory
from tests.load.crowd import MEMORY_GROWTH, Load, bear, ready
from tests.soak import cycle
from tests.usage import Usage, growth, leaks

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look at the agent's memory, and be many users")

LEAKY = (
    sys.executable,
    str(Path(__file__).parents[1] / "leaky_agent.py"),
    "memory_of_each_enrolment,descriptor_of_each_enrolment,thread_of_each_enrolment",
)
_SETTLES = 3
_CYCLES = 6
# Long enough for a hang-up to be noticed. What comes and goes besides is less than is allowed here.
_RESTS_S = 0.2


def _soaked(scenes: Path, program: tuple[str, ...]) -> list[Usage]:
    async def cycles() -> list[Usage]:
        return [await cycle(agent, _RESTS_S) for _ in range(_SETTLES + _CYCLES)][_SETTLES:]

    with agent_in_temporary_directory(scenes, program) as agent:
        agent.start()
        try:
            return asyncio.run(asyncio.wait_for(cycles(), GUARD_SECONDS))
        except AgentUnreachableError as error:
            raise AssertionError(f"{error}; its status is {agent.process.poll()}, its log {agent.log}") from error


@needs_root
def test_an_agent_that_is_used_keeps_nothing_of_it(scenes: Path) -> None:
    samples = _soaked(scenes, PROGRAM)
    assert leaks(samples, MEMORY_GROWTH) == []
    assert all(before.seconds < after.seconds for before, after in pairwise(samples))  # it did work


@needs_root
def test_a_soak_finds_leaks_made_on_purpose(scenes: Path) -> None:
    found = leaks(_soaked(scenes, LEAKY), MEMORY_GROWTH)
    assert [leak.partition(":")[0] for leak in found] == ["memory", "descriptors", "threads"]


@needs_root
def test_a_crowd_is_served_and_leaves_nothing_behind(scenes: Path) -> None:
    async def steps() -> None:
        await asyncio.wait_for(bear(agent, load, lambda load: load.everybody_was_served), GUARD_SECONDS)

    load = Load(watchers=40, contenders=4, places=2)
    with agent_in_temporary_directory(scenes) as agent:
        ready(agent)
        asyncio.run(steps())
        assert load.faults(agent.log) == []
    assert sum(fared.busy for fared in load.contended) > 0
    assert load.cuts["flooding"] > 0


def _row(memory: list[float], descriptors: list[int] | None = None) -> list[Usage]:
    counts = descriptors or [9] * len(memory)
    return [Usage(int(mb * 2**20), count, 4, 0.0) for mb, count in zip(memory, counts, strict=True)]


def test_a_trend_is_told_from_noise() -> None:
    noise = np.random.default_rng(1).normal(60, 0.5, 200)
    assert leaks(_row(list(noise)), 2**20) == []
    assert leaks(_row([60.0] * 100 + [64.0] * 3 + [60.0] * 97), 2**20) == []  # what comes and goes
    assert leaks(_row(list(noise + np.linspace(0, 2, 200))), 2**20) != []
    # What the allocator keeps for a while, now earlier, now later; and a leak below it.
    kept = np.repeat([0.0, 12.0, 0.0, 0.0, 12.0, 12.0], 40)
    assert leaks(_row(list(60.0 + kept[:200])), 2**20) == []
    assert leaks(_row(list(60.0 + np.roll(kept, 60)[:200])), 2**20) == []
    assert leaks(_row(list(60.0 + kept[:200] + np.linspace(0, 4, 200))), 2**20) != []
    assert leaks(_row([60.0] * 40, [9, 10] * 20), 2**20) == []
    assert leaks(_row([60.0] * 40, [9 + number // 10 for number in range(40)]), 2**20) == ["descriptors: 4"]
    assert growth([1.0, 3.0, 2.0, 4.0]) == pytest.approx(2.5, abs=1)
