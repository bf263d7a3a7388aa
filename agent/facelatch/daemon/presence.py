# SPDX-License-Identifier: Apache-2.0
"""Whoever stands before the door for a while is recognised without a touch, where the owner has asked for that.

It is off unless configured: it keeps the camera on, and the indicator with it. A watch gives way to any request. After
an attempt the place before the camera has to be empty for a while before the next: somebody who stays does not go on
guessing, nor does a poster.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

from facelatch.daemon.agent import Agent
from facelatch.daemon.door import ButtonRights, let_in, ourselves
from facelatch.daemon.service import AgentService
from facelatch.daemon.signals import RESULT_SECONDS
from facelatch.daemon.worker import BusyError, DeadlineError, Session, StoppedError
from facelatch.errors import CameraError

# Two looks a second see whoever waits, and leave a Pi's processor nine tenths of its time.
_PAUSE = 0.5
# After a camera fault.
_AGAIN = 2.0
# A watch ends and begins anew after so long, as any job that is forgotten must.
_WATCH = 600.0


def waits(session: Session[bool], seconds: float, *, empty_first: bool) -> bool:
    """Look until someone stays in view for so many seconds; with ``empty_first`` only once nobody was for as long.

    A look without a usable face, of one who walks by or looks away, begins the count anew.

    Raises:
        DeadlineError, StoppedError: between two looks.
        CameraError: no usable frames come.
    """
    empty = not empty_first
    since: float | None = None
    for look in session.looks():
        seen = look.embedding is not None
        if seen != empty:
            since = None  # while it is to be empty, a face counts against it, and then the other way round
        elif since is None:
            since = session.elapsed
        elif session.elapsed - since >= seconds:
            if empty:
                return True
            empty, since = True, None
        session.pause(_PAUSE)
    return False


class Presence:
    """Watches, and asks to verify whoever stays.

    Args:
        agent: the agent, whose configuration says for how long.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._peer = ourselves()
        self._service = AgentService(replace(agent, policy=ButtonRights(agent.config)), self._peer)

    async def watch(self) -> None:
        """Serve until cancelled."""
        tried = False
        while True:
            try:
                if not await self._someone_waits(after=tried):
                    continue
                await let_in(self._agent, self._service)
            except DeadlineError:
                continue
            except CameraError:
                await asyncio.sleep(_AGAIN)
                continue
            except (BusyError, StoppedError):
                pass  # somebody asked for something: whoever stands there has had their attempt
            tried = True
            # For so long the indicator tells how it went, which it would not while the camera looks.
            await asyncio.sleep(RESULT_SECONDS)

    async def _someone_waits(self, *, after: bool) -> bool:
        seconds = self._agent.config.presence.seconds
        found = False
        watched = self._agent.worker.run(
            lambda session: waits(session, seconds, empty_first=after), _WATCH, self._peer.uid, gives_way=True
        )
        async with aclosing(watched) as reports:
            async for report in reports:
                found = report
        return found
