# SPDX-License-Identifier: Apache-2.0
"""Calls the agent: a declared interface, connected to a socket, with every method's declared type.

    async with connect(AgentInterface, Path("/run/facelatch/agent.sock")) as agent:
        async for reply in agent.Verify(user="anna"):
            ...

A call fails with the errors of its interface (asyncvarlink's classes) or with AgentUnreachableError. One call at a
time; leaving a stream before its last reply hangs up, which is how a request is cancelled.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from asyncvarlink import (
    FileDescriptor,
    FileDescriptorArray,
    VarlinkInterface,
    VarlinkMethodCall,
    VarlinkMethodReply,
    VarlinkMethodSignature,
    varlinksignature,
)
from asyncvarlink.conversion import ConversionError, FileDescriptorVarlinkType
from asyncvarlink.serviceinterface import VarlinkServiceInterface

from facelatch.errors import AgentUnreachableError
from facelatch.ipc.limits import Limits
from facelatch.ipc.wire import MessageError, PeerGoneError, WireProtocol, decode

_Received = tuple[bytes, FileDescriptorArray | None]
_Interface = TypeVar("_Interface", bound=VarlinkInterface)

CONNECT_SECONDS = 5.0
"""A Unix socket connects at once, unless so many wait before us that the agent must be stuck."""

_BACKLOG_RETRY_SECONDS = 0.05


@asynccontextmanager
async def connect(
    interface: type[_Interface], path: Path, *, timeout: float = CONNECT_SECONDS
) -> AsyncIterator[_Interface]:
    """Connect to the agent, and hang up at the end of the block.

    Args:
        interface: the declaration to speak; what is yielded has its methods.
        path: the socket that serves it.
        timeout: seconds to wait for the agent to take the connection.

    Raises:
        AgentUnreachableError: nobody answers there, or we may not ask.
    """
    protocol = _ClientProtocol(await _open(path, timeout))
    try:
        yield cast(_Interface, _Proxy(protocol, interface, path))
    finally:
        await protocol.close()


async def _open(path: Path, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    connection.connect(str(path))
                except BlockingIOError:  # the agent's queue is full
                    await asyncio.sleep(_BACKLOG_RETRY_SECONDS)
                else:
                    return connection
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise _unreachable(path, error) from error
        raise


def _unreachable(path: Path, error: OSError) -> AgentUnreachableError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return AgentUnreachableError(
                f"there is no socket at {path}", "start the agent, or check the configured path"
            )
        case PermissionError():
            return AgentUnreachableError(
                f"you may not connect to {path}", "check the permissions of the socket and its directory"
            )
        case TimeoutError():
            return AgentUnreachableError(
                f"the agent at {path} takes no connection", "restart it, and look into its journal"
            )
        case _:
            return AgentUnreachableError(f"no agent answers on {path} ({error.strerror or error})", "start the agent")


class _ClientProtocol(WireProtocol):
    """Our end of a connection: what arrives is queued for the one call that runs."""

    def __init__(self, connection: socket.socket) -> None:
        self._received: asyncio.Queue[_Received | None] = asyncio.Queue()
        super().__init__(connection, Limits())

    def message(self, message: bytes, fds: FileDescriptorArray | None) -> None:
        self._received.put_nowait((message, fds))

    def gone(self, reason: str) -> None:  # noqa: ARG002 - the base class has it
        self._received.put_nowait(None)

    async def close(self) -> None:
        """Hang up, and close what nobody fetched."""
        self.abort("is done with")
        while not self._received.empty():
            if (received := self._received.get_nowait()) is not None:
                self._release(received[1])
        await self.wait_closed()

    async def call(
        self, call: VarlinkMethodCall, fds: FileDescriptorArray
    ) -> AsyncGenerator[tuple[VarlinkMethodReply, FileDescriptorArray | None], None]:
        """Send a call and yield its replies, each with descriptors that are closed when the next is fetched."""
        await self.send(call.tojson(), fds)
        complete = False
        try:
            while not complete:
                received = await self._received.get()
                if received is None:
                    raise PeerGoneError
                message, reply_fds = received
                try:
                    reply = _parse(message)
                    complete = not reply.continues
                    yield reply, reply_fds
                finally:
                    self._release(reply_fds)
        finally:
            if not complete:
                self.abort("is left in the middle")


def _parse(message: bytes) -> VarlinkMethodReply:
    try:
        return VarlinkMethodReply.fromjson(decode(message))
    except (TypeError, ValueError):
        raise MessageError("not a reply") from None


class _Proxy:
    """Has the methods of a declaration; each call goes over the wire."""

    def __init__(self, protocol: _ClientProtocol, interface: type[VarlinkInterface], path: Path) -> None:
        self._protocol = protocol
        self._interface = interface
        self._path = path

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Look a method up in the declaration.

        Raises:
            AttributeError: the interface has no such method.
        """
        signature = varlinksignature(getattr(self._interface, name))
        if signature is None:
            raise AttributeError(name)
        return functools.partial(self._stream if signature.more else self._single, name, signature)

    async def _single(self, name: str, signature: VarlinkMethodSignature, /, **parameters: Any) -> Any:
        async with aclosing(self._stream(name, signature, **parameters)) as replies:
            return await anext(replies) or None  # a method without reply fields is declared to return None

    async def _stream(
        self, name: str, signature: VarlinkMethodSignature, /, **parameters: Any
    ) -> AsyncGenerator[Any, None]:
        with FileDescriptorArray.new_managed() as fds:
            call = VarlinkMethodCall(
                f"{self._interface.name}.{name}",
                signature.parameter_type.tojson(parameters, {FileDescriptorVarlinkType: fds}),
                more=signature.more,
            )
            try:
                async with aclosing(self._protocol.call(call, fds)) as replies:
                    async for reply, reply_fds in replies:
                        yield self._result(signature, reply, reply_fds)
            except PeerGoneError:
                raise AgentUnreachableError(
                    f"the agent at {self._path} hung up during {name}",
                    "try again; if it goes on, look into the agent's journal",
                ) from None
            except (MessageError, ConversionError) as error:
                raise AgentUnreachableError(
                    f"what answers {name} on {self._path} is not understood",
                    "check that the agent and this program are of one version",
                ) from error

    def _result(
        self, signature: VarlinkMethodSignature, reply: VarlinkMethodReply, fds: FileDescriptorArray | None
    ) -> Any:
        if reply.error is not None:
            of_service = reply.error.startswith(f"{VarlinkServiceInterface.name}.")
            (VarlinkServiceInterface if of_service else self._interface).raise_error(reply)
        result = signature.return_type.fromjson(reply.parameters, {FileDescriptorVarlinkType: fds})
        # The array closes its descriptors at the next reply: what is handed out is the caller's to close.
        return {
            field: FileDescriptor(value.take(), should_close=True) if isinstance(value, FileDescriptor) else value
            for field, value in result.items()
        }
