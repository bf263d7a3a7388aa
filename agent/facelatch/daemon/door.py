# SPDX-License-Identifier: Apache-2.0
"""What the button asks for: a press to open, a hold to enrol, a long hold to forget everyone where that is allowed.

The button is one more peer of the service, with rights of its own. Everything is decided as it is let go, by the
kernel's clock: one that is jammed, or leant on, does nothing, then or when it comes free.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from typing import Any, cast

from asyncvarlink import VarlinkErrorReply

from facelatch.daemon.agent import Agent
from facelatch.daemon.audit import MessageId
from facelatch.daemon.mode import Mode, read_mode, write_mode
from facelatch.daemon.policy import Action, Policy
from facelatch.daemon.service import AgentService
from facelatch.errors import StorageError
from facelatch.hardware.button import Button, Pressed, Released
from facelatch.hardware.indicator import DONE, REFUSED, RELEASE
from facelatch.ipc import interface as wire
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import VerifyResult

_log = logging.getLogger(__name__)

# So much longer than for an enrolment that nobody does it by mistake.
RESET_HOLDS = 4
# So much longer that something leans on the button, or that it was jammed.
_JAMMED_HOLDS = 12


def ourselves() -> Peer:
    """Return the agent as the peer that acts for whoever is at the door."""
    return Peer(os.getpid(), os.geteuid(), os.getegid(), frozenset())


class ButtonRights(Policy):
    """What someone at the button may do: be recognised, and whatever has just been granted."""

    granted: frozenset[Action] = frozenset()

    def allows(self, peer: Peer, action: Action, user: str | None = None) -> bool:  # noqa: ARG002 - there is one peer
        """Tell whether the button may do that; it never asks for anyone by name but to enrol or remove them."""
        return action in (Action.VERIFY, Action.OPEN_LATCH) or action in self.granted

    def allows_audience(self, peer: Peer, audience: str) -> bool:  # noqa: ARG002 - as above
        """Grant no signatures."""
        return False

    def comes_first(self, peer: Peer) -> bool:  # noqa: ARG002 - as above
        """Say yes: whoever stands at the door does."""
        return True

    def is_administrator(self, peer: Peer) -> bool:  # noqa: ARG002 - as above
        """Say no, even where the agent runs as root."""
        return False


class Door:
    """Serves the button.

    Args:
        agent: the agent.
        button: its button.
    """

    def __init__(self, agent: Agent, button: Button) -> None:
        self._agent = agent
        self._button = button
        self._peer = ourselves()
        self._rights = ButtonRights(agent.config)
        self._service = AgentService(replace(agent, policy=self._rights), self._peer)
        self._task: asyncio.Task[None] | None = None
        self._enrolling = False
        self._until = 0.0

    async def watch(self) -> None:
        """Serve until cancelled."""
        hold = self._agent.config.button.hold
        loop = asyncio.get_running_loop()
        try:
            async with aclosing(self._button.touches()) as touches:
                waiting: asyncio.TimerHandle | None = None
                async for touch in touches:
                    if waiting is not None:
                        waiting.cancel()
                    match touch:
                        case Pressed() if not self._busy:
                            waiting = loop.call_later(hold, self._agent.signals.hint, RELEASE)
                        case Released(held):
                            self._released(held)
        finally:
            if self._task is not None:
                self._task.cancel()

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _released(self, held: float) -> None:
        config = self._agent.config.button
        if self._task is not None and self._busy:
            # Whoever presses twice to be let in is; whoever presses while they are enrolled has had enough.
            if self._enrolling:
                self._task.cancel()
            return
        if held >= _JAMMED_HOLDS * config.hold:
            self._agent.signals.dark()
            return
        self._enrolling = False
        if held < config.hold:
            work = self._verify()
        elif config.reset and held >= RESET_HOLDS * config.hold:
            work = self._reset()
        else:
            self._enrolling = True
            work = self._enrol()
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(_log_fault)

    async def _verify(self) -> None:
        """Let in whoever is known; an administrator opens the window for an enrolment."""
        last = await let_in(self._agent, self._service)
        if last.get("result") is not VerifyResult.verify_match:
            return
        record = self._agent.roster.get(last["user"])
        if record is not None and record.account.administrator:
            self._until = time.monotonic() + self._agent.config.button.enroll_window

    async def _enrol(self) -> None:
        """Enrol a guest, where root or an administrator has just allowed it: one for each unlock."""
        agent = self._agent
        allowed = time.monotonic() < self._until or read_mode(agent.config.state) is Mode.SET_UP
        self._until = 0.0
        if not allowed:
            agent.audit.refused(self._peer, None, "enrol at the button")
            agent.signals.result(REFUSED)
            return
        name = next(name for number in count(1) if agent.roster.get(name := f"guest-{number}") is None)
        self._rights.granted = frozenset({Action.ENROLL})
        try:
            await follow(agent, self._service.Enroll(user=name))
        finally:
            self._rights.granted = frozenset()

    async def _reset(self) -> None:
        """Forget everyone, and with them that root had armed the device or put it into set-up."""
        agent = self._agent
        self._rights.granted = frozenset({Action.REMOVE_USER})
        try:
            await asyncio.to_thread(write_mode, agent.config.state, Mode.DISARMED)
            for record in list(agent.roster):
                await self._service.RemoveUser(user=record.header.user)
            agent.audit.note(MessageId.reset, self._peer, None)
            agent.signals.result(DONE)
        except (StorageError, VarlinkErrorReply) as error:
            _log.warning("the reset stopped half way: %s", error)
            agent.signals.result(REFUSED)
        finally:
            self._rights.granted = frozenset()


async def let_in(agent: Agent, service: AgentService) -> dict[str, Any]:
    """Look for whoever is known, and open the latch, if there is one; return the last reply, as ``follow`` does."""
    opening = agent.strike is not None or None
    return await follow(agent, service.Verify(open_latch=opening))


async def follow(agent: Agent, replies: AsyncIterator[Any]) -> dict[str, Any]:
    """Follow a request to its end; an error is told as a refusal, and ends it without a reply."""
    last: dict[str, Any] = {}
    try:
        async with aclosing(cast(Any, replies)) as stream:
            async for reply in stream:
                last = reply
    except wire.LockedOut:
        return {}  # which has a pattern of its own
    except VarlinkErrorReply:
        agent.signals.result(REFUSED)
        return {}
    return last


def _log_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        # By its type only: its text may quote what nobody should read.
        _log.error("the button's request failed: %s", type(error).__name__)
