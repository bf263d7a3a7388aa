# SPDX-License-Identifier: Apache-2.0
"""Commands that seal a secret to a face, and open it."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import click

from facelatch.cli.calls import Reply, call_agent, get_status, print_json, say_done, watch
from facelatch.cli.options import Exit, json_option, runtime_option, told
from facelatch.errors import FacelatchError
from facelatch.phrases import describe_word

# What the socket takes (io.facelatch.Agent.Seal).
_MAX_SECRET_BYTES = 4096


class WeakKeyError(FacelatchError):
    """A secret would be sealed under a device key that a thief of the card has as well."""


@click.command()
@click.argument("user")
@click.argument("name")
@click.option("--forget", is_flag=True, help="Remove the secret instead.")
@click.option("--accept-weak", is_flag=True, help="Seal although the device key is weak.")
@json_option
@runtime_option
@told
def seal(user: str, name: str, forget: bool, accept_weak: bool, as_json: bool, runtime: Path) -> None:
    """Seal a secret from standard input to USER's face, under NAME.

    What that is worth: whoever has the device and USER's face, or a photograph of it, gets the secret. Under a weak
    device key, which lies on the same card, the card and a photograph are enough.
    """
    from asyncvarlink import FileDescriptor

    from facelatch.ipc import memfd
    from facelatch.ipc.interface import AgentInterface

    secret = b"" if forget else sys.stdin.buffer.read(_MAX_SECRET_BYTES + 1)
    if not forget and not accept_weak and _device_key_is_weak(runtime):
        raise WeakKeyError(
            "the device key is weak: it lies on the same card as what it protects", "use another, or say --accept-weak"
        )

    async def call(agent: AgentInterface) -> Reply:
        if forget:
            await agent.ForgetSecret(user=user, name=name)
        else:
            with FileDescriptor(memfd.offer(secret), should_close=True) as descriptor:
                await agent.Seal(user=user, name=name, secret_fd=descriptor)
        return {}

    call_agent(runtime, call, as_json)
    done = "forgot" if forget else "sealed"
    say_done(f"{done} {name} for {user}", {done: name, "user": user}, as_json)


@click.command()
@click.argument("user")
@click.argument("name")
@click.option("--timeout", "timeout_ms", type=click.IntRange(1), metavar="MS", help="Give up after this time.")
@json_option
@runtime_option
@told
def unseal(user: str, name: str, timeout_ms: int | None, as_json: bool, runtime: Path) -> None:
    """Look for USER's face and write the secret NAME to standard output, as it is, or in base64 with --json."""
    from facelatch.ipc import memfd
    from facelatch.ipc.interface import AgentInterface

    async def call(agent: AgentInterface) -> Reply:
        reply = await watch(agent.Unseal(user=user, name=name, timeout_ms=timeout_ms), as_json, to_stderr=True)
        descriptor = reply.get("secret_fd")
        if descriptor is None:
            return reply
        with descriptor:
            return {**reply, "secret": memfd.take(descriptor.fileno(), _MAX_SECRET_BYTES)}

    reply = call_agent(runtime, call, as_json)
    if "secret" not in reply:
        if not as_json:
            click.echo(describe_word(str(reply["result"])), err=True)
        sys.exit(Exit.NO)
    if as_json:
        print_json({"secret": base64.b64encode(reply["secret"]).decode("ascii")})
        return
    sys.stdout.buffer.write(reply["secret"])
    sys.stdout.buffer.flush()


def _device_key_is_weak(runtime: Path) -> bool:
    components = {
        component.name: str(component.state) for component in get_status(runtime, as_json=False)["components"]
    }
    return components.get("device_key") != "ok"
