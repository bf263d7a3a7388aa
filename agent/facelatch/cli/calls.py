# SPDX-License-Identifier: Apache-2.0
"""One call on a socket, its progress and its errors in plain words."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from facelatch.cli.options import Exit
from facelatch.phrases import describe_error, describe_progress

if TYPE_CHECKING:
    from asyncvarlink import VarlinkErrorReply, VarlinkInterface

    from facelatch.ipc.interface import AgentInterface

_Interface = TypeVar("_Interface", bound="VarlinkInterface")

Reply = Mapping[str, Any]


def get_status(runtime: Path, as_json: bool) -> Reply:
    """Ask the agent how it is; its errors are said in plain words and end the program.

    Raises:
        AgentUnreachableError: nobody answers.
    """
    from facelatch.ipc.interface import StatusInterface

    return _call(StatusInterface, runtime / "status.sock", lambda agent: agent.GetStatus(), as_json)


def call_agent(runtime: Path, call: Callable[[AgentInterface], Awaitable[Reply]], as_json: bool) -> Reply:
    """Make one call on the agent's socket; its errors are said in plain words and end the program.

    Raises:
        AgentUnreachableError: nobody answers.
    """
    from facelatch.ipc.interface import AgentInterface

    return _call(AgentInterface, runtime / "agent.sock", call, as_json)


def _call(
    interface: type[_Interface], socket: Path, call: Callable[[_Interface], Awaitable[Reply]], as_json: bool
) -> Reply:
    from asyncvarlink import VarlinkErrorReply

    from facelatch.ipc.client import connect

    async def connected() -> Reply:
        async with connect(interface, socket) as agent:
            return await call(agent)

    try:
        return asyncio.run(connected())
    except VarlinkErrorReply as error:
        refuse(error, as_json)


def refuse(error: VarlinkErrorReply, as_json: bool) -> NoReturn:
    """Say an error of the socket, and end the program with its status."""
    name = error.name.rsplit(".", 1)[-1]
    if as_json:
        click.echo(json.dumps({"error": name, "parameters": error.paramstojson()}))
    else:
        click.echo(f"facelatch: {describe_error(name, error.paramstojson())}", err=True)
    sys.exit(Exit.NO if name == "NotEnrolled" else Exit.ERROR)


async def watch(replies: AsyncIterator[Reply], as_json: bool, *, to_stderr: bool = False) -> Reply:
    """Show progress until the last reply, and return that."""
    last: Reply = {}
    shown = ""
    async for reply in replies:
        last = reply
        if as_json:
            print_json(reply)
        elif (progress := reply.get("progress")) is not None:
            text = describe_progress(str(progress.result), progress.remaining)
            # A camera looks many times a second; a person wants to be told what changes.
            if text and text != shown:
                click.echo(text, err=to_stderr)
                shown = text
    return last


def say_done(text: str, reply: Reply, as_json: bool) -> None:
    """Say that something is done: in words, or as the object that stands for them."""
    if as_json:
        print_json(reply)
    else:
        click.echo(text)


def print_json(reply: Reply) -> None:
    """Print a reply as one JSON object on a line, without what it leaves out and without descriptors."""
    told = {key: value for key, value in reply.items() if value is not None and not hasattr(value, "fileno")}
    click.echo(json.dumps({key: _plain(value) for key, value in told.items()}))


def _plain(value: Any) -> Any:
    """Bring a reply's value to what JSON has: structures to objects, words to strings."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(entry) for entry in value]
        case dict():
            return {key: _plain(entry) for key, entry in value.items()}
        case _ if hasattr(value, "__dataclass_fields__"):
            return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        case _:
            return str(value)
