# SPDX-License-Identifier: Apache-2.0
"""Serves Varlink interfaces over Unix sockets, to peers of whom nothing is trusted but their credentials.

A connection is what the contract calls a peer: it has one request in flight, and hanging up cancels that request.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from asyncvarlink import (
    FileDescriptorArray,
    VarlinkInterface,
    VarlinkInterfaceRegistry,
)
from asyncvarlink.serviceinterface import VarlinkServiceInterface

from facelatch import __version__
from facelatch.ipc.allowance import Allowance
from facelatch.ipc.dispatch import Dispatch, parse_call
from facelatch.ipc.limits import Limits
from facelatch.ipc.listener import Listener
from facelatch.ipc.peer import Peer
from facelatch.ipc.wire import MessageError, PeerGoneError, WireProtocol

_log = logging.getLogger(__name__)

MakeInterfaces = Callable[[Peer], Sequence[VarlinkInterface]]

_VENDOR = "Facelatch"
_PRODUCT = "facelatch"
_URL = ""  # the project has no public address

_DEFAULT_LIMITS = Limits()

# A refused accept for want of descriptors or memory would otherwise be tried again at once, for ever.
_ACCEPT_PAUSE_SECONDS = 1.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

# A full allowance is as good as a new one. With more of them than users come at a time, those are dropped.
_ALLOWANCES_KEPT = 256


class Connection(WireProtocol):
    """One peer's connection: requests are run one after the other, by a task that ends with the connection.

    Args:
        connection: its socket.
        peer: who is at the other end.
        registry: what it may call.
        limits: what it may ask for.
        allowance: of its user, from which what is read is paid; None for no end of it.
    """

    def __init__(
        self,
        connection: socket.socket,
        peer: Peer,
        registry: VarlinkInterfaceRegistry,
        limits: Limits,
        allowance: Allowance | None,
    ) -> None:
        self.peer = peer
        self._allowance = allowance
        self._registry = registry
        self._waiting: deque[tuple[bytes, FileDescriptorArray | None]] = deque()
        self._pending = 0
        self._worker: asyncio.Task[None] | None = None
        super().__init__(connection, limits)

    async def finished(self) -> None:
        """Wait until the socket is closed and nothing runs for this peer any more."""
        await self.wait_closed()
        if self._worker is not None:
            await asyncio.wait([self._worker])

    def spend(self) -> float:
        """Pay for a piece that was read."""
        return 0.0 if self._allowance is None else self._allowance.spend()

    def message(self, message: bytes, fds: FileDescriptorArray | None) -> None:
        """Queue a request. It stays in bytes until its turn comes: parsed JSON takes many times as much."""
        self._waiting.append((message, fds))
        self._pending += 1
        if self._pending > self._limits.pending_requests:
            self.abort("sent too many requests at once")
        elif self._worker is None or self._worker.done():
            self._worker = self._loop.create_task(self._work())

    def gone(self, reason: str) -> None:
        """Cancel what runs for a peer that is not there, and drop what it asked for besides."""
        _log.debug("peer %d (uid %d) %s", self.peer.pid, self.peer.uid, reason)
        # A worker that found out by itself is on its way out; cancelling it would cut its cleaning up short.
        if self._worker is not None and self._worker is not asyncio.current_task():
            self._worker.cancel()
        while self._waiting:
            self._release(self._waiting.popleft()[1])

    async def _work(self) -> None:
        while self._waiting:
            message, fds = self._waiting.popleft()
            try:
                await Dispatch(self._registry, parse_call(message), self.send).run(fds)
            except MessageError:
                self.abort("sent what is not a request")
            except PeerGoneError:
                return
            finally:
                self._pending -= 1
                self._release(fds)


class Server:
    """Listens on any number of sockets and serves every peer interfaces made for it.

    Args:
        make_interfaces: called for each connection with who it is; returns one instance of each interface.
        limits: what a peer may ask for.
    """

    def __init__(self, make_interfaces: MakeInterfaces, limits: Limits = _DEFAULT_LIMITS) -> None:
        self._make_interfaces = make_interfaces
        self._limits = limits
        self._listeners: list[Listener] = []
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._allowances: dict[int, Allowance] = {}

    @property
    def connections(self) -> frozenset[Connection]:
        """Those who are connected, or whose request has not ended yet."""
        return frozenset(self._connections)

    def listen(self, path: Path, mode: int = 0o666) -> None:
        """Listen at a path, replacing a socket that nobody answers on.

        Raises:
            AgentRunningError: somebody answers there.
            SocketPathError: something else is there, or the path cannot be used.
        """
        self._start(Listener.create(path, mode))

    def serve(self, listening: socket.socket) -> None:
        """Take over a socket that listens already, such as one from systemd.

        Raises:
            ValueError: this is not a listening Unix stream socket.
        """
        self._start(Listener.adopt(listening))

    async def close(self) -> None:
        """Stop listening, hang up on everybody, and wait until what ran for them has ended."""
        loop = asyncio.get_running_loop()
        while self._listeners:
            listener = self._listeners.pop()
            loop.remove_reader(listener.listening)
            listener.close()
        watchers = list(self._connections.values())
        for connection in list(self._connections):
            connection.abort("is told that the agent stops")
        await asyncio.gather(*watchers)

    def _start(self, listener: Listener) -> None:
        self._listeners.append(listener)
        self._resume(listener)

    def _resume(self, listener: Listener) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.listening, self._accept, listener)

    def _accept(self, listener: Listener) -> None:
        """Take one connection; the loop comes back for the next after everybody else had their turn."""
        try:
            connection, _ = listener.listening.accept()
        except OSError as error:
            # Anything else is a peer that went away before its turn.
            if error.errno in _EXHAUSTED:
                _log.error("no connection can be accepted for now: %s", error.strerror)
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener.listening)
                loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume, listener)
            return
        try:
            self._admit(connection)
        except Exception:
            connection.close()
            raise

    def _admit(self, connection: socket.socket) -> None:
        peer = Peer.of(connection)
        allowance = self._allowance(peer)
        if (allowance is not None and not allowance.spend_if_any()) or not self._has_room_for(peer):
            # Not louder: whoever knocks without end would drown the audit trail, which shares the journal's limit.
            _log.debug("peer %d (uid %d) refused: too many connections", peer.pid, peer.uid)
            connection.close()
            return
        registry = VarlinkInterfaceRegistry()
        registry.register_interface(VarlinkServiceInterface(_VENDOR, _PRODUCT, __version__, _URL, registry))
        for interface in self._make_interfaces(peer):
            registry.register_interface(interface)
        admitted = Connection(connection, peer, registry, self._limits, allowance)
        self._connections[admitted] = asyncio.get_running_loop().create_task(self._watch(admitted))

    def _allowance(self, peer: Peer) -> Allowance | None:
        """Look up what a peer's user has left; root is not counted."""
        if peer.is_root:
            return None
        if peer.uid not in self._allowances:
            if len(self._allowances) >= _ALLOWANCES_KEPT:
                here = {connection.peer.uid for connection in self._connections}
                self._allowances = {
                    uid: kept for uid, kept in self._allowances.items() if uid in here or not kept.is_full
                }
            clock = asyncio.get_running_loop().time
            self._allowances[peer.uid] = Allowance(self._limits.turns_per_second, self._limits.turns_at_once, clock)
        return self._allowances[peer.uid]

    def _has_room_for(self, peer: Peer) -> bool:
        if len(self._connections) >= self._limits.connections:
            return False
        if peer.is_root:
            return True
        uids = [connection.peer.uid for connection in self._connections if not connection.peer.is_root]
        return (
            len(uids) < self._limits.connections - self._limits.connections_kept_for_root
            and uids.count(peer.uid) < self._limits.connections_per_uid
        )

    async def _watch(self, connection: Connection) -> None:
        """Give the place free only when nothing runs for the peer any more, not when it hangs up."""
        await connection.finished()
        del self._connections[connection]
