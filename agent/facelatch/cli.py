# SPDX-License-Identifier: Apache-2.0
"""The command line: a thin client of the agent's sockets, and the command that runs the agent.

Exit status (design section 7): 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import click

from facelatch import __version__
from facelatch import config as configuration
from facelatch.errors import FacelatchError
from facelatch.phrases import describe_error, describe_progress, describe_word

if TYPE_CHECKING:
    from asyncvarlink import VarlinkErrorReply

_P = ParamSpec("_P")
Reply = Mapping[str, Any]


class Exit(IntEnum):
    """Exit status, a contract."""

    YES = 0
    NO = 1
    ERROR = 2


def _told(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turn an error into one line on stderr and status 2."""

    @functools.wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FacelatchError as error:
            click.echo(f"facelatch: {error}", err=True)
            sys.exit(Exit.ERROR)

    return wrapped


_runtime = click.option(
    "--runtime",
    type=click.Path(path_type=Path),
    default=Path("/run/facelatch"),
    envvar="FACELATCH_RUNTIME",
    show_default=True,
    show_envvar=True,
    help="Directory of the agent's sockets.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, or one a line while streaming.")
_config = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=configuration.DEFAULT_PATH,
    show_default=True,
    help="The configuration file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="facelatch")
def main() -> None:
    """Face unlock that stores helper data, never a face.

    Exit status: 0 yes; 1 no (no match, not enrolled); 2 error, locked out, or not allowed.
    """


@main.command()
@_config
@_told
def run(path: Path) -> None:
    """Run the agent in the foreground until SIGTERM."""
    from facelatch.daemon.run import run as run_agent

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    run_agent(configuration.load(path))


@main.command()
@click.option("--keep", is_flag=True, help="Leave the demo's directory behind to look at.")
@_told
def demo(keep: bool) -> None:
    """Enrol, unlock and refuse with replayed photographs, through the real agent; needs no camera and no root."""
    from facelatch.demo.story import tell

    sys.exit(Exit.YES if tell(keep=keep) else Exit.ERROR)


@main.command()
@click.argument("user")
@click.option("--administrator", is_flag=True, help="This user may manage others.")
@click.option("--replace", is_flag=True, help="Make new keys for a user who is enrolled already.")
@_json
@_runtime
@_told
def enroll(user: str, administrator: bool, replace: bool, as_json: bool, runtime: Path) -> None:
    """Enrol USER: look at the camera and turn the head a little until it says done."""
    from facelatch.ipc.interface import AgentInterface
    from facelatch.ipc.words import EnrollMode

    mode = EnrollMode.replace if replace else EnrollMode.new

    async def call(agent: AgentInterface) -> Reply:
        return await _watch(agent.Enroll(user=user, administrator=administrator, mode=mode), as_json)

    reply = _call_agent(runtime, call, as_json)
    result = str(reply["result"])
    if not as_json:
        click.echo(describe_word(result) + (f": {reply['reason']}" if reply.get("reason") else ""))
    sys.exit(Exit.YES if result == "enroll_completed" else Exit.NO)


@main.command()
@click.option("--user", help="Expect this user; without it anyone enrolled may match.")
@click.option("--challenge", metavar="HEX", help="16 to 64 bytes to sign for the audience.")
@click.option("--audience", help="Whom the signature is for, as the configuration names it.")
@click.option("--timeout", "timeout_ms", type=click.IntRange(1), metavar="MS", help="Give up after this time.")
@_json
@_runtime
@_told
def verify(
    user: str | None, challenge: str | None, audience: str | None, timeout_ms: int | None, as_json: bool, runtime: Path
) -> None:
    """Look at the camera and say who is there."""
    from facelatch.ipc.interface import AgentInterface

    nonce = None if challenge is None else _base64(challenge)

    async def call(agent: AgentInterface) -> Reply:
        replies = agent.Verify(user=user, challenge=nonce, audience=audience, timeout_ms=timeout_ms)
        return await _watch(replies, as_json)

    reply = _call_agent(runtime, call, as_json)
    result = str(reply["result"])
    if not as_json:
        click.echo(describe_word(result) + (f": {reply['user']}" if reply.get("user") else ""))
        for key in ("signature", "public_key", "time_usec"):
            if reply.get("signature"):
                click.echo(f"{key}: {reply[key]}")
    sys.exit(Exit.YES if result == "verify_match" else Exit.NO)


@main.command("list")
@_json
@_runtime
@_told
def list_users(as_json: bool, runtime: Path) -> None:
    """List the enrolled users and their public keys."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        return await agent.ListUsers()

    reply = _call_agent(runtime, call, as_json)
    if as_json:
        _print_json(reply)
    elif not reply["users"]:
        click.echo("nobody is enrolled")
    else:
        for user in reply["users"]:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(user.enrolled_usec / 1e6))
            role = "administrator" if user.administrator else "user"
            click.echo(f"{user.name:<16} {role:<14} {when}  {user.public_key}")


@main.command()
@click.argument("user")
@_runtime
@_told
def remove(user: str, runtime: Path) -> None:
    """Forget USER: their record is removed and their key with it."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        await agent.RemoveUser(user=user)
        return {}

    _call_agent(runtime, call, as_json=False)
    click.echo(f"removed {user}")


@main.command()
@_json
@_runtime
@_told
def status(as_json: bool, runtime: Path) -> None:
    """Say how the agent is."""
    from facelatch.ipc.client import connect
    from facelatch.ipc.interface import StatusInterface

    async def call() -> Reply:
        async with connect(StatusInterface, runtime / "status.sock") as agent:
            return await agent.GetStatus()

    reply = asyncio.run(call())
    if as_json:
        _print_json(reply)
        return
    click.echo(f"facelatch {reply['version']}, parameter set {reply['parameter_set']}, {reply['users']} enrolled")
    click.echo(f"camera {reply['camera']}, liveness {reply['liveness']}".replace("_", " "))
    for component in reply["components"]:
        click.echo(f"{component.name:<12} {component.state!s:<8} {component.detail}")


@main.command()
@_json
@_runtime
@_told
def monitor(as_json: bool, runtime: Path) -> None:
    """Tell events as they happen, until interrupted."""
    from asyncvarlink import VarlinkErrorReply

    from facelatch.ipc.client import connect
    from facelatch.ipc.interface import StatusInterface

    async def watch() -> None:
        async with connect(StatusInterface, runtime / "status.sock") as agent:
            async for happening in agent.Monitor():
                if as_json:
                    _print_json(happening)
                else:
                    when = time.strftime("%H:%M:%S", time.localtime(happening["time_usec"] / 1e6))
                    what = describe_word(str(happening["event"]))
                    click.echo(f"{when}  {what:<24} {happening.get('user') or ''}".rstrip())

    try:
        asyncio.run(watch())
    except VarlinkErrorReply as error:
        _refuse(error, as_json)
    except KeyboardInterrupt:
        sys.exit(Exit.YES)


@main.command("unlock-lockout")
@click.argument("user", required=False)
@_runtime
@_told
def unlock_lockout(user: str | None, runtime: Path) -> None:
    """Let USER try again at once after failed attempts; without USER, let the device."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        await agent.ResetLockout(user=user)
        return {}

    _call_agent(runtime, call, as_json=False)
    click.echo(f"{user or 'the device'} may try again")


@main.group()
def config() -> None:
    """Look after the configuration."""


@config.command()
@_config
@_told
def check(path: Path) -> None:
    """Check the configuration file."""
    configuration.load(path)
    click.echo(f"{path} is in order")


def _call_agent(runtime: Path, call: Callable[[Any], Awaitable[Reply]], as_json: bool) -> Reply:
    """Make one call on the agent's socket; its errors are said in plain words and end the program."""
    from asyncvarlink import VarlinkErrorReply

    from facelatch.ipc.client import connect
    from facelatch.ipc.interface import AgentInterface

    async def connected() -> Reply:
        async with connect(AgentInterface, runtime / "agent.sock") as agent:
            return await call(agent)

    try:
        return asyncio.run(connected())
    except VarlinkErrorReply as error:
        _refuse(error, as_json)


def _refuse(error: VarlinkErrorReply, as_json: bool) -> NoReturn:
    """Say an error of the socket, and end the program with its status."""
    name = error.name.rsplit(".", 1)[-1]
    if as_json:
        click.echo(json.dumps({"error": name, "parameters": error.paramstojson()}))
    else:
        click.echo(f"facelatch: {describe_error(name, error.paramstojson())}", err=True)
    sys.exit(Exit.NO if name == "NotEnrolled" else Exit.ERROR)


async def _watch(replies: AsyncIterator[Reply], as_json: bool) -> Reply:
    """Show progress until the last reply, and return that."""
    last: Reply = {}
    shown = ""
    async for reply in replies:
        last = reply
        if as_json:
            _print_json(reply)
        elif (progress := reply.get("progress")) is not None:
            text = describe_progress(str(progress.result), progress.remaining)
            # A camera looks many times a second; a person wants to be told what changes.
            if text and text != shown:
                click.echo(text)
                shown = text
    return last


def _print_json(reply: Reply) -> None:
    click.echo(json.dumps({key: _plain(value) for key, value in reply.items() if value is not None}))


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


def _base64(challenge: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(challenge)).decode("ascii")
    except (binascii.Error, ValueError):
        raise click.BadParameter("the challenge is not hexadecimal", param_hint="--challenge") from None
