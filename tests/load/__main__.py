# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.load``: two hundred watchers, twenty contenders, and peers who mean harm, all at once."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import numpy.typing as npt

from tests.agent import agent_in_temporary_directory
from tests.load.crowd import Load, bear, ready
from tests.pictures import make_scenes

FIRST_S = 30.0
"""Seconds for which a first crowd comes, before the one that is judged."""


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help="How long.")
@click.option("--watchers", type=click.IntRange(1, 220), default=200, show_default=True, help="Who ask for the status.")
@click.option("--contenders", type=click.IntRange(1, 40), default=20, show_default=True, help="Who want the camera.")
@click.option("--no-harm", is_flag=True, help="Without the peers who mean harm.")
def main(minutes: float, watchers: int, contenders: int, no_harm: bool) -> None:
    """Load the real agent; exit with 1 if something fails that must hold on any machine. Needs root."""
    if os.geteuid() != 0:
        raise click.ClickException("only root can be many users: run it as root")
    load = Load(watchers=watchers, contenders=contenders, hostile=0 if no_harm else 1)
    with (
        TemporaryDirectory(prefix="facelatch-load-") as folder,
        agent_in_temporary_directory(make_scenes(Path(folder) / "scenes")) as agent,
    ):
        ready(agent)
        # What so many connections take of the allocator for the first time is not growth.
        first = Load(watchers=watchers, contenders=contenders, hostile=load.hostile)
        asyncio.run(bear(agent, first, _until(time.monotonic(), FIRST_S)))
        began = time.monotonic()
        asyncio.run(bear(agent, load, _until(began, 60 * minutes)))
        faults = load.faults(agent.log)
    assert first.before is not None
    click.echo(f"memory (USS) before the first crowd, which is not judged: {first.before.memory / 2**20:.1f} MB")
    _tell(load, minutes)
    for fault in faults:
        click.echo(f"FAULT: {fault}")
    sys.exit(bool(faults))


def _until(began: float, seconds: float) -> Callable[[Load], bool]:
    """Go on for so long, and say how far it is."""
    shown = sys.stderr.isatty()

    def enough(load: Load) -> bool:
        passed = time.monotonic() - began
        if shown:
            unlocks = sum(len(fared.answers) for fared in load.contended)
            click.echo(f"{passed:5.0f} of {seconds:.0f} s, {unlocks} unlocks\r", err=True, nl=False)
        return passed >= seconds

    return enough


def _tell(load: Load, minutes: float) -> None:
    assert load.before is not None
    assert load.after is not None
    status = np.array([answer for fared in load.watched for answer in fared.answers])
    unlocks = np.array([answer for fared in load.contended for answer in fared.answers])
    turns = np.array([len(fared.answers) for fared in load.contended])
    busy = sum(fared.busy for fared in load.contended)
    shares = ", ".join(f"{share:.1f}" for share in os.getloadavg())
    memory = np.array([load.before.memory, *(sample.memory for sample in load.samples), load.after.memory]) / 2**20
    used = (load.after.seconds - load.before.seconds) / (60 * minutes)
    click.echo(
        f"{minutes:g} minutes on {os.cpu_count()} processors, load averages {shares}; the agent used {used:.2f} of one"
    )
    click.echo(f"GetStatus: {len(status)} answers to {len(load.watched)} watchers, {_times(status)} (goal: p99 20 ms)")
    click.echo(f"of that the machine's own, by an echo server beside the agent: {_times(np.array(load.echoes))}")
    click.echo(
        f"Verify: {len(unlocks)} matches, {turns.min()} to {turns.max()} each, {busy} times Busy; {_times(unlocks)}"
    )
    click.echo(
        f"the owner: {len(load.owner.answers)} unlocks, {_times(np.array(load.owner.answers))} (goal: 2 s); "
        f"with waiting for a turn {_times(np.array(load.owner.waits))}"
    )
    click.echo(f"hung up on: {', '.join(f'{kind} {count}' for kind, count in load.cuts.items()) or 'nobody'}")
    click.echo(
        f"memory (USS): {memory[0]:.1f} MB before, {memory[1:-1].max():.1f} at most, {memory[-1]:.1f} after; "
        f"descriptors {load.before.descriptors}, {load.after.descriptors}; "
        f"threads {load.before.threads}, {load.after.threads}"
    )


def _times(seconds: npt.NDArray[np.float64]) -> str:
    if not len(seconds):
        return "no times"
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, longest {1000 * seconds.max():.0f} ms"


if __name__ == "__main__":
    main()
