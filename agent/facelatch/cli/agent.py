# SPDX-License-Identifier: Apache-2.0
"""Commands about the agent: run it, look at it, show it."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import click

from facelatch.cli.calls import get_status, print_json, refuse, say_done
from facelatch.cli.options import Exit, config_option, json_option, runtime_option, told
from facelatch.phrases import describe_word


@click.command()
@config_option
@told
def run(path: Path) -> None:
    """Run the agent in the foreground until SIGTERM."""
    from facelatch import config as configuration

    config = configuration.load(path)
    from facelatch.daemon.run import run as run_agent

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    run_agent(config)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the demo's directory behind to look at.")
@told
def demo(keep: bool) -> None:
    """Enrol, unlock and refuse with replayed photographs, through the real agent; needs no camera and no root."""
    from facelatch.demo.story import tell

    sys.exit(Exit.YES if tell(keep=keep) else Exit.ERROR)


@click.command()
@json_option
@runtime_option
@told
def status(as_json: bool, runtime: Path) -> None:
    """Say how the agent is."""
    reply = get_status(runtime, as_json)
    if as_json:
        print_json(reply)
        return
    click.echo(f"facelatch {reply['version']}, parameter set {reply['parameter_set']}, {reply['users']} enrolled")
    click.echo(f"camera {reply['camera']}, liveness {reply['liveness']}".replace("_", " "))
    for component in reply["components"]:
        click.echo(f"{component.name:<12} {component.state!s:<8} {component.detail}")


@click.command()
@json_option
@runtime_option
@told
def monitor(as_json: bool, runtime: Path) -> None:
    """Tell events as they happen, until interrupted."""
    from asyncvarlink import VarlinkErrorReply

    from facelatch.ipc.client import connect
    from facelatch.ipc.interface import StatusInterface

    async def watch() -> None:
        async with connect(StatusInterface, runtime / "status.sock") as agent:
            async for happening in agent.Monitor():
                if as_json:
                    print_json(happening)
                else:
                    when = time.strftime("%H:%M:%S", time.localtime(happening["time_usec"] / 1e6))
                    what = describe_word(str(happening["event"]))
                    click.echo(f"{when}  {what:<24} {happening.get('user') or ''}".rstrip())

    try:
        asyncio.run(watch())
    except VarlinkErrorReply as error:
        refuse(error, as_json)
    except KeyboardInterrupt:
        sys.exit(Exit.YES)


@click.group()
def config() -> None:
    """Look after the configuration."""


@config.command()
@config_option
@json_option
@told
def check(path: Path, as_json: bool) -> None:
    """Check the configuration file."""
    from facelatch import config as configuration

    configuration.load(path)
    say_done(f"{path} is in order", {"config": str(path)}, as_json)
