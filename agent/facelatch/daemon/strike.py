# SPDX-License-Identifier: Apache-2.0
"""When the latch may open, how long it rests, and that it has closed again."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

from facelatch.config import LatchConfig
from facelatch.daemon.audit import Audit, MessageId
from facelatch.daemon.mode import Mode, read_mode, write_mode
from facelatch.errors import LatchError, StorageError
from facelatch.hardware.latch import RELEASE_SECONDS, Latch
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import MonitorEvent

_log = logging.getLogger(__name__)

# Open for longer than its pulse by this much, it is stuck. A loaded device is late by less.
STUCK_SECONDS = RELEASE_SECONDS + 1.0
_LOOK_SECONDS = 0.05


class DisarmedError(LatchError):
    """Root has not armed the latch."""

    def __init__(self) -> None:
        super().__init__("the latch is disarmed", "run 'facelatch arm' as root")


class Strike:
    """The latch under its rules.

    Args:
        latch: the hardware.
        config: how long it opens and rests.
        state: where the mode of the device is kept.
        audit: is told of every opening, closing and fault.

    Attributes:
        fault: what was wrong when it was last used.
    """

    def __init__(self, latch: Latch, config: LatchConfig, state: Path, audit: Audit) -> None:
        self.latch = latch
        self.fault: LatchError | None = None
        self._config = config
        self._state = state
        self._audit = audit
        self._turn = asyncio.Lock()
        self._rested = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        try:
            latch.prepare()
        except LatchError as error:
            # It may be there by the time someone is at the door; all else works without it.
            _log.warning("%s", error)
            self.fault = error

    @property
    def armed(self) -> bool:
        """Whether root lets it open."""
        return read_mode(self._state) is Mode.ARMED

    def require_armed(self) -> None:
        """See that it may open.

        Raises:
            DisarmedError: it may not.
        """
        if not self.armed:
            raise DisarmedError

    async def open(self, peer: Peer, user: str) -> None:
        """Open it for one pulse, once it has rested since the last.

        Raises:
            DisarmedError: it may not open.
            LatchError: it does not.
        """
        async with self._turn:
            await asyncio.sleep(self._rested - time.monotonic())
            self.require_armed()
            self._rested = time.monotonic() + self._config.pulse + self._config.gap
            # Whoever asked may hang up: what has begun to open is watched all the same.
            self._opening = asyncio.create_task(self._open(peer, user))
            await asyncio.shield(self._opening)

    async def close(self, peer: Peer) -> None:
        """Lock it now, at the end of the agent."""
        if self._opening is not None:
            # Between the pulse's beginning and the watch over it there is nothing to be cancelled yet.
            await asyncio.wait([self._opening])
        if self._watching is None or self._watching.done():
            return
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self._release(peer, "the agent ends")

    async def _open(self, peer: Peer, user: str) -> None:
        try:
            await self.latch.open()
        except LatchError as error:
            self.fault = error
            self._audit.note(MessageId.latch_fault, peer, user, str(error))
            raise
        self.fault = None
        self._audit.tell(MonitorEvent.latch_opened, peer, user)
        self._watching = asyncio.create_task(self._watch(peer))

    async def _watch(self, peer: Peer) -> None:
        """See it close; if it does not, lock it, and leave it so until root has looked at it."""
        await asyncio.sleep(self._config.pulse)
        fault = await self._closing()
        if fault is None:
            self._audit.tell(MonitorEvent.latch_closed, peer, None)
            return
        self._audit.note(MessageId.latch_fault, peer, None, str(fault))
        self._disarm()
        await self._release(peer, "by force")
        self.fault = fault

    async def _closing(self) -> LatchError | None:
        """Wait until it is closed; return why it cannot be said to be."""
        late = time.monotonic() + STUCK_SECONDS
        try:
            while self.latch.is_open():
                if time.monotonic() > late:
                    return LatchError(f"latch {self.latch.name} stays open", "see what holds it, then arm it again")
                await asyncio.sleep(_LOOK_SECONDS)
        except LatchError as error:
            return error
        return None

    def _disarm(self) -> None:
        try:
            write_mode(self._state, Mode.DISARMED)
        except StorageError as error:
            _log.error("the latch stays armed: %s", error)

    async def _release(self, peer: Peer, reason: str) -> None:
        try:
            await self.latch.release()
        except LatchError as error:
            self.fault = error
            self._audit.note(MessageId.latch_fault, peer, None, str(error))
            return
        self._audit.tell(MonitorEvent.latch_closed, peer, None, reason)
        with suppress(LatchError):
            self.latch.prepare()
