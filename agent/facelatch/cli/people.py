# SPDX-License-Identifier: Apache-2.0
"""Commands about people: who is there, who is enrolled, who may try again."""

from __future__ import annotations

import base64
import binascii
import sys
import time
from pathlib import Path

import click

from facelatch.cli.calls import Reply, call_agent, print_json, say_done, watch
from facelatch.cli.options import Exit, json_option, runtime_option, told
from facelatch.phrases import describe_word


@click.command()
@click.argument("user")
@click.option("--administrator", is_flag=True, help="This user may manage others.")
@click.option("--replace", is_flag=True, help="Make new keys for a user who is enrolled already.")
@click.option("--add", is_flag=True, help="Unlock, then take that look into the record too; best on another day.")
@json_option
@runtime_option
@told
def enroll(user: str, administrator: bool, replace: bool, add: bool, as_json: bool, runtime: Path) -> None:
    """Enrol USER: look at the camera and turn the head a little until it says done."""
    from facelatch.ipc.interface import AgentInterface
    from facelatch.ipc.words import EnrollMode

    if add and (replace or administrator):
        raise click.UsageError("--add changes neither keys nor rights: use it alone")
    mode = EnrollMode.add if add else EnrollMode.replace if replace else EnrollMode.new

    async def call(agent: AgentInterface) -> Reply:
        return await watch(agent.Enroll(user=user, administrator=administrator, mode=mode), as_json)

    reply = call_agent(runtime, call, as_json)
    result = str(reply["result"])
    if not as_json:
        click.echo(describe_word(result) + (f": {reply['reason']}" if reply.get("reason") else ""))
    sys.exit(Exit.YES if result == "enroll_completed" else Exit.NO)


@click.command()
@click.option("--user", help="Expect this user; without it anyone enrolled may match.")
@click.option("--challenge", metavar="HEX", help="16 to 64 bytes to sign for the audience.")
@click.option("--audience", help="Whom the signature is for, as the configuration names it.")
@click.option("--open-latch", is_flag=True, help="Open the latch for whoever matches.")
@click.option("--timeout", "timeout_ms", type=click.IntRange(1), metavar="MS", help="Give up after this time.")
@json_option
@runtime_option
@told
def verify(
    user: str | None,
    challenge: str | None,
    audience: str | None,
    open_latch: bool,
    timeout_ms: int | None,
    as_json: bool,
    runtime: Path,
) -> None:
    """Look at the camera and say who is there."""
    from facelatch.ipc.interface import AgentInterface

    nonce = None if challenge is None else _base64(challenge)

    async def call(agent: AgentInterface) -> Reply:
        replies = agent.Verify(
            user=user, challenge=nonce, audience=audience, open_latch=open_latch or None, timeout_ms=timeout_ms
        )
        return await watch(replies, as_json)

    reply = call_agent(runtime, call, as_json)
    result = str(reply["result"])
    if not as_json:
        click.echo(describe_word(result) + (f": {reply['user']}" if reply.get("user") else ""))
        for key in ("signature", "public_key", "time_usec"):
            if reply.get("signature"):
                click.echo(f"{key}: {reply[key]}")
    sys.exit(Exit.YES if result == "verify_match" else Exit.NO)


@click.command("list")
@json_option
@runtime_option
@told
def list_users(as_json: bool, runtime: Path) -> None:
    """List the enrolled users and their public keys."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        return await agent.ListUsers()

    reply = call_agent(runtime, call, as_json)
    if as_json:
        print_json(reply)
    elif not reply["users"]:
        click.echo("nobody is enrolled")
    else:
        for user in reply["users"]:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(user.enrolled_usec / 1e6))
            role = "administrator" if user.administrator else "user"
            click.echo(f"{user.name:<16} {role:<14} {when}  {user.public_key}")


@click.command()
@click.argument("user")
@json_option
@runtime_option
@told
def remove(user: str, as_json: bool, runtime: Path) -> None:
    """Forget USER: their record is removed and their key with it."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        await agent.RemoveUser(user=user)
        return {}

    call_agent(runtime, call, as_json)
    say_done(f"removed {user}", {"removed": user}, as_json)


@click.command("unlock-lockout")
@click.argument("user", required=False)
@json_option
@runtime_option
@told
def unlock_lockout(user: str | None, as_json: bool, runtime: Path) -> None:
    """Let USER try again at once after failed attempts; without USER, let the device."""
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        await agent.ResetLockout(user=user)
        return {}

    call_agent(runtime, call, as_json)
    say_done(f"{user or 'the device'} may try again", {"reset": user or "device"}, as_json)


def _base64(challenge: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(challenge)).decode("ascii")
    except (binascii.Error, ValueError):
        raise click.BadParameter("the challenge is not hexadecimal", param_hint="--challenge") from None
