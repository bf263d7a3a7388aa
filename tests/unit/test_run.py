# SPDX-License-Identifier: Apache-2.0
"""What the agent does by itself once it serves."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from facelatch.daemon import run
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.rotation import rotation
from tests.agent import GUARD_SECONDS, eventually
from tests.in_process import CHEAP, House, VirtualClock
from tests.session_cast import LOOKS


def test_rotations_are_expanded_once_it_is_ready_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_EXPAND_AFTER_S", 0.0)
    house = House(tmp_path, LOOKS, VirtualClock(), Extractor(CHEAP))
    for user, look in (("anna", LOOKS[1]), ("bob", LOOKS[-1])):
        assert look.embedding is not None
        house.agent.roster.put(house.agent.roster.make(user, look.embedding, administrator=False))
    expanded: list[int] = []

    def ready() -> None:
        expanded.append(rotation.cache_info().currsize)

    async def steps() -> None:
        serving = asyncio.create_task(run._serve(house.agent.config, house.agent, {}, ready))
        await eventually(lambda: serving.done() or rotation.cache_info().currsize == 2)
        expanded.append(rotation.cache_info().currsize)
        if not serving.done():  # else it has failed, and nobody would catch the signal
            os.kill(os.getpid(), signal.SIGTERM)
        await serving

    rotation.cache_clear()  # what was made was expanded for that
    try:
        asyncio.run(asyncio.wait_for(steps(), GUARD_SECONDS))
    finally:
        house.close()
    assert expanded == [0, 2]
