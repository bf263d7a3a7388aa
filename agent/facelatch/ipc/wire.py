# SPDX-License-Identifier: Apache-2.0
"""Varlink's framing (JSON, then a NUL) over a Unix socket, with a bound on everything.

asyncvarlink's transport carries the bytes and the descriptors. Its own protocol classes are not used: they stop reading
while a call runs, so that a hang-up goes unseen, they bound nothing, and some malformed input leaves a peer hanging.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import Any

from asyncvarlink import FileDescriptorArray, VarlinkBaseProtocol, VarlinkTransport

from facelatch.ipc.limits import Limits

JsonObject = dict[str, Any]

_NUL = b"\0"

# Seal passes one descriptor; the kernel closes what a peer sends beyond that.
_RECEIVED_FDS = 1


class PeerGoneError(Exception):
    """The other end hung up, or was hung up on."""


class MessageError(Exception):
    """This is not a message: not a JSON object, or too long."""


def decode(message: bytes) -> JsonObject:
    """Parse one message, without its NUL.

    Raises:
        MessageError: not UTF-8, not JSON, nested too deeply, or not an object.
    """
    try:
        # Decoded here, since json would guess at UTF-16 and UTF-32 too.
        value = json.loads(message.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MessageError(type(error).__name__) from None  # the error quotes the message
    if not isinstance(value, dict):
        raise MessageError("not an object")
    return value


def encode(message: JsonObject) -> bytes:
    """Serialise one message, without its NUL."""
    return json.dumps(message, separators=(",", ":")).encode("ascii")


class _Transport(VarlinkTransport):
    MAX_RECV_FDS = _RECEIVED_FDS

    def _sock_receive_fds(self, size: int) -> int:
        """Read nothing while paused: as it comes, it reads on until it would block, and only then takes notice."""
        return 0 if self._paused else super()._sock_receive_fds(size)


class WireProtocol(VarlinkBaseProtocol):
    """One end of one connection. It owns the socket, and reads until the other end hangs up.

    Subclasses take messages in :meth:`message` and clean up in :meth:`gone`.
    """

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._limits = limits
        self._socket = connection
        self._closed = False
        self._partial = bytearray()
        self._partial_fds: FileDescriptorArray | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport = _Transport(self._loop, connection, connection, self, boundary_predictor=self._next_piece)

    def message(self, message: bytes, fds: FileDescriptorArray | None) -> None:
        """Take a complete message; ``fds``, if any, is referenced by this protocol and has to be released with it."""
        raise NotImplementedError

    def gone(self, reason: str) -> None:
        """Clean up; called once, and no message follows."""
        raise NotImplementedError

    def spend(self) -> float:
        """Account for a piece that was read; return for how many seconds no other is to be, 0 for no rest at all."""
        return 0.0

    async def send(self, message: JsonObject, fds: FileDescriptorArray) -> None:
        """Send a message and wait until the kernel has taken it, so that nothing piles up here.

        Raises:
            MessageError: the message is longer than the contract allows.
            PeerGoneError: the other end hung up, or did not read for too long.
        """
        data = encode(message)
        if len(data) > self._limits.message_bytes:
            raise MessageError("too long to send")
        if self._closed:
            raise PeerGoneError
        sent = self._transport.send_message(data + _NUL, [fd.fileno() for fd in fds])
        # The transport fails over a future that was cancelled: wait for it, but never await it.
        sent.add_done_callback(lambda done: done.exception())
        fds.reference_until_done(sent)
        await asyncio.wait([sent], timeout=self._limits.send_seconds)
        if not sent.done():
            self.abort("does not read")
        if sent.exception() is not None:
            self.abort("hung up")
            raise PeerGoneError

    def abort(self, reason: str) -> None:
        """Hang up at once; queued data is dropped."""
        if self._closed:
            return
        self._closed = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._partial.clear()
        self._release(self._partial_fds)
        self._partial_fds = None
        # The transport reads on until it would block. A peer that writes without pause would keep it there, and with
        # it the whole agent, for ever; once the socket is shut down there is no more than a buffer left to read.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._transport.abort()
        self.gone(reason)

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        await self._transport.closed_future

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing to do: the transport is known since the constructor."""

    def message_received(self, data: bytes, fds: FileDescriptorArray | None) -> None:
        """Collect a message; each piece ends at a NUL or holds none."""
        if self._closed:
            return
        if (rest := self.spend()) > 0:
            self._transport.pause_reading()
            self._loop.call_later(rest, self._transport.resume_reading)
        if fds:
            if self._partial_fds is not None:
                self.abort("sent descriptors twice in one message")
                return
            fds.reference(self)
            self._partial_fds = fds
        self._partial += data
        complete = self._partial.endswith(_NUL)
        if len(self._partial) - complete > self._limits.message_bytes:
            self.abort("sent too long a message")
        elif complete:
            self._complete()
        elif self._deadline is None:
            self._deadline = self._loop.call_later(
                self._limits.message_seconds, self.abort, "took too long over a message"
            )

    def _next_piece(self, data: bytes) -> list[int]:
        """Tell the transport how much of what it sees to read: up to the first NUL, or all there is.

        Its own rule reads beyond an unfinished message, and then cannot tell whose the descriptors are; and it goes on
        message by message, a byte each if they are empty, through all that a peer sent before it was hung up on.
        """
        if not data:
            return []
        end = -1 if self._closed else data.find(_NUL)
        return [len(data) if end < 0 else end + 1]

    def _complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        message, fds = bytes(self._partial[:-1]), self._partial_fds
        self._partial.clear()
        self._partial_fds = None
        self.message(message, fds)

    def _release(self, fds: FileDescriptorArray | None) -> None:
        if fds is not None:
            fds.release(self)

    def eof_received(self) -> None:
        """Take the end of what the other end sends for a hang-up."""
        self.abort("hung up")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class has it
        """Take a connection that the kernel gave up for a hang-up."""
        self.abort("hung up")
