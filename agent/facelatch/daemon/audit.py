# SPDX-License-Identifier: Apache-2.0
"""What happened, to whom, at whose request: in the journal, and to those who watch. Never an image or a figure."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from facelatch.ipc.peer import Peer
from facelatch.ipc.words import MonitorEvent
from facelatch.vault.record import MAX_USER_BYTES

_log = logging.getLogger(__name__)

_JOURNAL = "/run/systemd/journal/socket"
# A watcher that does not read loses the oldest events, not the agent its memory.
_BACKLOG = 64
# Room for a path and what to do about it; the words come from us, but paths and what a library says do not.
_REASON_CHARACTERS = 500


class MessageId(Enum):
    """The journal's MESSAGE_ID of each event; ``journalctl MESSAGE_ID=...`` finds them in any language.

    What each means is in firmware_config/facelatch.catalog, which ``journalctl -x`` shows.
    """

    verify_match = "6605139ef820119c4c3a8e41b7f8faf5"
    verify_no_match = "eb340b6ad4a9803d60bc921808b32b16"
    verify_spoof = "07959495aec20e298f6e20993572139b"
    verify_timeout = "45b110de1b2693bf7fdef2fdb34ddb9b"
    locked_out = "61cc90114c8c9b177bd0fc69428a602f"
    enrolled = "9edeeea5ef68e027cdffff8605fd0b5f"
    removed = "b8f716aea420b0129267083c3fc450a1"
    latch_opened = "9501847fbb46e668c626f7a65cc98a1c"
    latch_closed = "c1b9d84b8c5b1509e7696eb028047335"
    camera_fault = "130d535a2c20573a098b634c385f0e50"
    refused = "73c3cd3a9124f671d7ca9d4d1d5d8bdc"
    lockout_reset = "2cf6ff2f0f3f4b0d9a5f0a4f6c0e7b61"
    latch_fault = "30f6f4b7de9e4ac1a9c8f4dd1a0f5c12"
    armed = "5c0d0d3c66f94a0e8bd2a37c9be1f7d4"
    set_up = "b7a4b5f0d1bb4d6c9a3a1f2c54e9c8e3"
    disarmed = "e1b3c7d25a0f4f7e9d5b6a8c0f3e2d19"
    reset = "0a9e7c4f1d2b4c3a8f6e5d7b9c0a1e28"
    rekeyed = "8d1c7f5e6b9a4f9c8a53f5be0b3cc0d4"
    signed = "a5238467899543f1a695907e3abc35f3"
    sealed = "e733158d492f48cdac19bea1172da647"
    unsealed = "62070c38d39142029bbf44d6ee84dcbc"
    forgotten = "8b266b3cb8684d57846869ef13029a73"
    enroll_refused = "42cbae8ae8094eb29e34375df8aa5f4e"
    storage_fault = "2d6661a227af4e53b9fa63aeb6c09dfa"


# By syslog's numbers. What somebody should look at is a warning, what somebody may want to count a notice.
_INFO, _NOTICE, _WARNING = "6", "5", "4"
_PRIORITIES = dict.fromkeys((MessageId.camera_fault, MessageId.latch_fault, MessageId.storage_fault), _WARNING)
_PRIORITIES |= dict.fromkeys(
    (MessageId.refused, MessageId.verify_spoof, MessageId.locked_out, MessageId.enroll_refused, MessageId.reset),
    _NOTICE,
)


@dataclass(frozen=True)
class Happening:
    """An event as watchers get it."""

    time_usec: int
    event: MonitorEvent
    user: str | None


class Audit:
    """Writes events down and hands them out. ``tell`` may be called from any thread.

    Args:
        journal: whether the journal is told even where it does not read our log anyway.
    """

    def __init__(self, *, journal: bool = False) -> None:
        self._journal = journal or "JOURNAL_STREAM" in os.environ
        self._watchers: dict[asyncio.Queue[Happening], asyncio.AbstractEventLoop] = {}

    def tell(self, event: MonitorEvent, peer: Peer, user: str | None, reason: str = "") -> None:
        """Note an event, and who is to be told of it is told."""
        user = _printable(user)
        self._write(MessageId[event.name], peer, user, reason)
        happening = Happening(time.time_ns() // 1000, event, user)
        for queue, loop in list(self._watchers.items()):
            loop.call_soon_threadsafe(_offer, queue, happening)

    def note(self, what: MessageId, peer: Peer, user: str | None, reason: str = "") -> None:
        """Note what the socket has no event for; watchers are not told."""
        self._write(what, peer, _printable(user), reason)

    def refused(self, peer: Peer, user: str | None, reason: str) -> None:
        """Note that a peer asked for something that it may not have."""
        self.note(MessageId.refused, peer, user, reason)

    @contextmanager
    def watch(self) -> Generator[asyncio.Queue[Happening]]:
        """Give a queue that fills with events from now on."""
        queue: asyncio.Queue[Happening] = asyncio.Queue(_BACKLOG)
        self._watchers[queue] = asyncio.get_running_loop()
        try:
            yield queue
        finally:
            del self._watchers[queue]

    def _write(self, event: MessageId, peer: Peer, user: str | None, reason: str) -> None:
        reason = _one_line(reason)
        message = f"{event.name} user={user or '-'} peer_uid={peer.uid} peer_pid={peer.pid}"
        if reason:
            message += f" reason={reason}"
        fields = {
            "MESSAGE": message,
            "MESSAGE_ID": event.value,
            "PRIORITY": _PRIORITIES.get(event, _INFO),
            "SYSLOG_IDENTIFIER": "facelatch",
            "FACELATCH_EVENT": event.name,
            "FACELATCH_USER": user or "",
            "FACELATCH_PEER_UID": str(peer.uid),
            "FACELATCH_PEER_PID": str(peer.pid),
            "FACELATCH_REASON": reason,
        }
        # Under systemd the journal takes the fields as they are; the log would have them once more as text.
        if not self._journal or not _to_journal(fields):
            _log.info("%s", message)


def _printable(user: str | None) -> str | None:
    """Make a name, which any peer may have made up, fit for a log line, a journal field and a terminal."""
    if user is None or (len(user) <= MAX_USER_BYTES and user.isascii() and user.isprintable()):
        return user
    return "(not a name)"


def _one_line(reason: str) -> str:
    """Bound a reason, and make it fit for a log line, a journal field and a terminal."""
    return "".join(each if each.isprintable() else "?" for each in reason[:_REASON_CHARACTERS])


def _offer(queue: asyncio.Queue[Happening], happening: Happening) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(happening)


def _to_journal(fields: dict[str, str]) -> bool:
    """Send an entry by the journal's native protocol; False where there is no journal."""
    # A newline would begin another field; names and reasons hold none any more, and this keeps it so.
    lines = "".join(f"{name}={value.replace(chr(10), ' ')}\n" for name, value in fields.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.setblocking(False)  # nobody waits for a journal that is stuck
            journal.sendto(lines.encode(), _JOURNAL)
    except OSError:
        return False
    return True
