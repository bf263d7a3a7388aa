# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.soak``: the real agent, used for hours, keeps no byte, no descriptor and no thread of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from facelatch.ipc.client import connect
from facelatch.ipc.interface import Cancelled, StatusInterface
from tests.agent import Agent, agent_in_temporary_directory, camera_is_free, last
from tests.pictures import make_scenes
from tests.usage import Usage, growth, leaks, lows, usage

MEMORY_GROWTH = 2**20
"""Bytes by which the agent may grow while it is judged: the allocator's own coming and going."""

SETTLES = 0.2
"""Share of the cycles after which it has settled; those before are not judged."""

RESTS_S = 3.0
"""After a cycle: the agent frees what a job has left behind a second later, and until then it looks like growth."""

FEWEST = 10
_SHOWN_EVERY = 10


async def cycle(agent: Agent, rests: float = RESTS_S) -> Usage:
    """Do once what an agent does: enrol, recognise, refuse, be cancelled, be hung up on, remove; look at it at rest."""
    async with agent.connect() as client, agent.connect() as other:
        agent.show("anna")
        assert "result" in await last(client.Enroll(user="anna"))
        assert str((await last(client.Verify(user="anna")))["result"]) == "verify_match"
        agent.show("stranger")
        assert str((await last(client.Verify()))["result"]) == "verify_no_match"
        await client.ResetLockout()
        agent.show("nobody")
        replies = client.Verify(timeout_ms=120_000)
        await anext(replies)
        await other.Cancel()
        try:
            await last(replies)
            raise AssertionError("it was not cancelled")
        except Cancelled:
            pass
    async with agent.connect() as client:
        await anext(client.Verify(timeout_ms=120_000))  # and hang up
    await camera_is_free(agent)
    async with agent.connect() as client, connect(StatusInterface, agent.runtime / "status.sock") as status:
        assert (await status.GetStatus())["users"] == 1
        assert len((await client.ListUsers())["users"]) == 1
        await client.RemoveUser(user="anna")
    await asyncio.sleep(rests)
    return usage(agent.process.pid)


@click.command()
@click.option("--hours", type=click.FloatRange(min=0.02), default=2.0, show_default=True, help="How long.")
def main(hours: float) -> None:
    """Use the real agent; exit with 1 if something grows. Needs root."""
    if os.geteuid() != 0:
        raise click.ClickException("only root can look at the agent's memory: run it as root")
    with (
        TemporaryDirectory(prefix="facelatch-soak-") as folder,
        agent_in_temporary_directory(make_scenes(Path(folder) / "scenes")) as agent,
    ):
        agent.start()
        samples = asyncio.run(_for(agent, 3600 * hours))
        complaints = "Traceback" in agent.log or " failed: " in agent.log
    judged = samples[int(SETTLES * len(samples)) :]
    found = leaks(judged, MEMORY_GROWTH) if len(judged) >= FEWEST else ["too few cycles to judge"]
    _tell(judged, len(samples), hours)
    if complaints:
        found.append("the agent complains in its log")
    for leak in found:
        click.echo(f"LEAK: {leak}")
    sys.exit(bool(found))


async def _for(agent: Agent, seconds: float) -> list[Usage]:
    samples: list[Usage] = []
    began = time.monotonic()
    shown = sys.stderr.isatty()
    while (passed := time.monotonic() - began) < seconds:
        samples.append(await cycle(agent))
        if shown and len(samples) % _SHOWN_EVERY == 0:
            memory = samples[-1].memory / 2**20
            click.echo(
                f"{passed:6.0f} of {seconds:.0f} s, {len(samples)} cycles, {memory:.1f} MB\r", err=True, nl=False
            )
    return samples


def _tell(judged: list[Usage], cycles: int, hours: float) -> None:
    memory = np.array([sample.memory for sample in judged]) / 2**20
    click.echo(f"{cycles} cycles in {60 * hours:.0f} minutes, the last {len(judged)} judged")
    lowest = lows(list(memory))
    told = ", ".join(f"{low:.1f}" for low in lowest)
    click.echo(
        f"memory (USS): {memory[0]:.1f} MB first, {memory[-1]:.1f} last, {memory.min():.1f} to {memory.max():.1f}; "
        f"lowest of each tenth: {told}; trend of those {growth(lowest):+.2f} MB over all"
    )
    for what in ("descriptors", "threads"):
        counts = [getattr(sample, what) for sample in judged]
        click.echo(f"{what}: {counts[0]} first, {counts[-1]} last, {min(counts)} to {max(counts)}")


if __name__ == "__main__":
    main()
