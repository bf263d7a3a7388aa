# SPDX-License-Identifier: Apache-2.0
"""Runs the method that a request names, and answers it exactly once."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from asyncvarlink import (
    AnnotatedResult,
    FileDescriptorArray,
    GenericVarlinkErrorReply,
    VarlinkErrorReply,
    VarlinkInterfaceRegistry,
    VarlinkMethodCall,
    VarlinkMethodReply,
    VarlinkMethodSignature,
)
from asyncvarlink.conversion import ConversionError, FileDescriptorVarlinkType
from asyncvarlink.serviceinterface import ExpectedMore, InvalidParameter

from facelatch.ipc.contract import FINAL_FIELD
from facelatch.ipc.wire import JsonObject, MessageError, PeerGoneError, decode

_log = logging.getLogger(__name__)

INTERNAL_ERROR = "io.facelatch.InternalError"
"""What a peer is told of a fault in the agent: that there was one. The journal says where."""

Send = Callable[[JsonObject, FileDescriptorArray], Awaitable[None]]


def parse_call(message: bytes) -> VarlinkMethodCall:
    """Read a request.

    Raises:
        MessageError: this is not one.
    """
    try:
        return VarlinkMethodCall.fromjson(decode(message))
    except (TypeError, ValueError):
        raise MessageError("not a method call") from None


class Dispatch:
    """One request on its way to its answer."""

    def __init__(self, registry: VarlinkInterfaceRegistry, call: VarlinkMethodCall, send: Send) -> None:
        self._registry = registry
        self._call = call
        self._send = send
        self._answered = False

    async def run(self, fds: FileDescriptorArray | None) -> None:
        """Answer the request, by an error if it comes to that.

        Raises:
            PeerGoneError: nobody is there to be answered.
        """
        try:
            await self._invoke(fds)
        except PeerGoneError:
            raise
        except VarlinkErrorReply as error:
            await self._fail(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Something that the method waited for was cancelled, not the method.
            await self._fault(error)
        except Exception as error:
            await self._fault(error)

    async def _invoke(self, fds: FileDescriptorArray | None) -> None:
        # asyncvarlink refuses a stream to a call without more; ours give such a call their last reply.
        lenient = dataclasses.replace(self._call, more=True)
        method, signature = self._registry.lookup_method(lenient)
        if signature.more and not self._call.more and not _has_final_field(signature):
            raise ExpectedMore
        try:
            parameters = signature.parameter_type.fromjson(self._call.parameters, {FileDescriptorVarlinkType: fds})
        except ConversionError as error:
            raise InvalidParameter(parameter=_where(error)) from None
        outcome = method(**parameters)
        if signature.more:
            await self._forward(outcome, signature)
            return
        if inspect.isawaitable(outcome):
            outcome = await outcome
        await self._reply(signature, outcome)

    async def _forward(self, generator: AsyncGenerator[Any, None], signature: VarlinkMethodSignature) -> None:
        async with aclosing(generator) as replies:
            async for reply in replies:
                final = reply.get(FINAL_FIELD) is not None
                if final or self._call.more:
                    await self._reply(signature, reply, continues=not final)
                if final:
                    return
        raise RuntimeError("a stream ended without its last reply")

    async def _reply(self, signature: VarlinkMethodSignature, reply: Any, *, continues: bool = False) -> None:
        if isinstance(reply, AnnotatedResult):  # from methods that asyncvarlink itself brings
            reply = reply.parameters
        with FileDescriptorArray.new_managed() as fds:
            parameters = signature.return_type.tojson({} if reply is None else reply, {FileDescriptorVarlinkType: fds})
            await self._transmit(VarlinkMethodReply(parameters, continues=continues), fds)

    async def _fail(self, error: VarlinkErrorReply) -> None:
        if self._answered:  # it went wrong while tidying up, and a request has one answer
            await self._fault(error)
            return
        try:
            reply = error.toreply()
        except ConversionError as fault:
            await self._fault(fault)
            return
        with FileDescriptorArray.new_managed() as no_fds:
            await self._transmit(reply, no_fds)

    async def _fault(self, error: BaseException) -> None:
        """Report a fault by type and place only: its text may quote what the peer sent, or a secret."""
        _log.error("%s failed: %s at %s", self._call.method, type(error).__name__, _place(error))
        if not self._answered:
            await self._fail(GenericVarlinkErrorReply(INTERNAL_ERROR))

    async def _transmit(self, reply: VarlinkMethodReply, fds: FileDescriptorArray) -> None:
        if not self._call.oneway:
            await self._send(reply.tojson(), fds)
        self._answered = not reply.continues


def _has_final_field(signature: VarlinkMethodSignature) -> bool:
    return FINAL_FIELD in signature.return_type.as_type.__annotations__


def _where(error: ConversionError) -> str:
    return str(error.location[0]) if error.location else "parameters"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
