# SPDX-License-Identifier: Apache-2.0
"""Peers that only want their answers, and write down how they fared."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.ipc_peers import RawPeer, request
from tests.load.places import place

STATUS = "io.facelatch.Status.GetStatus"
VERIFY = request("io.facelatch.Agent.Verify", "more")
BUSY = "io.facelatch.Agent.Busy"

# How long who was refused waits before asking again, about.
_AGAIN_S = 0.1


@dataclass
class Fared:
    """How one peer fared.

    Attributes:
        answers: seconds each answer took; of a verification, from the request that was not refused.
        waits: seconds from wanting to be verified to being it, refusals included.
        busy: how often it was refused with ``Busy``.
        wrong: whatever else came, or that it was hung up on.
    """

    answers: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    busy: int = 0
    wrong: list[str] = field(default_factory=list)


async def watcher(path: Path, uid: int, period: float, fared: Fared) -> None:
    """Ask for the status every so many seconds, for ever, over one connection.

    At moments that are fixed beforehand: whoever counts on from the last answer comes to ask together with all who were
    held up by the same delay, for ever after, and then waits for them.
    """
    chance = random.Random()  # noqa: S311 - of moments, not of keys
    moment = time.monotonic() + chance.uniform(0, period)
    try:
        async with place(path, uid) as peer:
            while True:
                await asyncio.sleep(max(0.0, moment - time.monotonic()))
                asked = time.monotonic()
                reply = await peer.ask(STATUS)
                if not reply.get("parameters", {}).get("ready"):
                    fared.wrong.append(str(reply))
                fared.answers.append(time.monotonic() - asked)
                while moment < asked + fared.answers[-1]:
                    moment += period
    except (OSError, EOFError) as error:
        fared.wrong.append(f"hung up on: {type(error).__name__}")


async def contender(path: Path, uid: int, rest: float, fared: Fared) -> None:
    """Be verified again and again, for ever, with a rest between; on ``Busy`` ask again soon."""
    chance = random.Random()  # noqa: S311 - as above
    try:
        async with place(path, uid) as peer:
            while True:
                wanted = asked = time.monotonic()
                while (end := await _verified(peer)) == BUSY:
                    fared.busy += 1
                    await asyncio.sleep(_AGAIN_S * chance.uniform(0.5, 1.5))
                    asked = time.monotonic()
                if end != "verify_match":
                    fared.wrong.append(end)
                now = time.monotonic()
                fared.answers.append(now - asked)
                fared.waits.append(now - wanted)
                await asyncio.sleep(rest)
    except (OSError, EOFError) as error:
        fared.wrong.append(f"hung up on: {type(error).__name__}")


async def _verified(peer: RawPeer) -> str:
    """Ask to be verified; return the result or the error."""
    await peer.send(VERIFY)
    while True:
        reply = await peer.receive()
        if "error" in reply:
            return str(reply["error"])
        if not reply.get("continues"):
            return str(reply["parameters"]["result"])
