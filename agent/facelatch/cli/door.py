# SPDX-License-Identifier: Apache-2.0
"""Commands about the door, for root on the device: no method of the socket does what they do."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from facelatch import config as configuration
from facelatch.cli.calls import say_done
from facelatch.cli.options import config_option, json_option, told


@click.command()
@click.option("--off", is_flag=True, help="Disarm instead: the latch stays locked.")
@config_option
@json_option
@told
def arm(off: bool, path: Path, as_json: bool) -> None:
    """Let the latch open for a face, and end the set-up; needs to be said by root after each reset."""
    _change("disarmed" if off else "armed", path, as_json)


@click.command("set-up")
@config_option
@json_option
@told
def set_up(path: Path, as_json: bool) -> None:
    """Enrol whoever holds the button, until 'facelatch arm'; the latch stays locked so long."""
    _change("set-up", path, as_json)


@click.command()
@config_option
@told
def release(path: Path) -> None:
    """Lock the latch and darken the indicator; for when the agent has ended, however it did."""
    from facelatch.errors import IndicatorError
    from facelatch.hardware.factory import make_indicator, make_latch
    from facelatch.hardware.indicator import DARK

    config = configuration.load(path)
    try:
        make_indicator(config.indicator).show(DARK)
    except IndicatorError as error:
        click.echo(f"facelatch: {error}", err=True)
    latch = make_latch(config.latch)
    if latch is not None:
        asyncio.run(latch.release())


def _change(name: str, path: Path, as_json: bool) -> None:
    from facelatch.daemon.audit import Audit, MessageId
    from facelatch.daemon.mode import Mode, write_mode
    from facelatch.ipc.peer import Peer

    config, mode = configuration.load(path), Mode(name)
    write_mode(config.state, mode)
    audit = Audit(journal=True)
    audit.note(MessageId[mode.name.lower()], Peer(os.getpid(), os.getuid(), os.getgid(), frozenset()), None)
    say_done(f"the device is {mode}", {"mode": str(mode)}, as_json)
