# SPDX-License-Identifier: Apache-2.0
"""Peers that mean harm, without end, on both sockets: ``python -m tests.load.hostile RUNTIME UID PLACES``.

Each is back at once when it is hung up on. Standard output is, at the end of standard input, how often each kind was.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from tests.ipc_peers import RawPeer, request
from tests.load.places import place

_SOCKETS = {"agent.sock": "io.facelatch.Agent.ListUsers", "status.sock": "io.facelatch.Status.GetStatus"}
_PAUSE_S = 0.01
_SLOWLY_S = 0.5
_FLOOD = 200
_OVERSIZED = b"a" * 128 * 1024


async def slow_loris(peer: RawPeer, _: bytes) -> None:
    """Send a request that never ends, byte by byte."""
    while not peer.reader.at_eof():
        await peer.send(b"a")
        await asyncio.sleep(_SLOWLY_S)


async def half_open(peer: RawPeer, call: bytes) -> None:
    """Ask once, hang up with one hand, and hold on with the other."""
    await peer.send(call)
    peer.writer.write_eof()
    await peer.reader.read()


async def silent(peer: RawPeer, _: bytes) -> None:
    """Take a place and say nothing."""
    await peer.reader.read()


async def deaf(peer: RawPeer, call: bytes) -> None:
    """Ask and ask, and read no answer."""
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        await peer.send(call)
        await asyncio.sleep(_PAUSE_S)


async def oversized(peer: RawPeer, _: bytes) -> None:
    """Send more than a message may have."""
    while True:
        await peer.send(_OVERSIZED)


async def flooding(peer: RawPeer, call: bytes) -> None:
    """Send requests without waiting for answers."""
    while True:
        await peer.send(call * _FLOOD)


async def eager(peer: RawPeer, call: bytes) -> None:
    """Ask, and ask again as soon as there is an answer, as is allowed."""
    while True:
        await peer.send(call)
        await peer.receive()


async def crumbling(peer: RawPeer, _: bytes) -> None:
    """Send a request that never ends, byte by byte, as fast as it goes."""
    while True:
        await peer.send(b"a")
        await asyncio.sleep(0)


KINDS: dict[str, Callable[[RawPeer, bytes], Awaitable[None]]] = {
    kind.__name__: kind for kind in (slow_loris, half_open, silent, deaf, oversized, flooding, eager, crumbling)
}

AT_ONCE = ("half_open", "oversized", "flooding")
"""Those that are hung up on as soon as they have shown what they are."""


async def _again(kind: str, path: Path, call: bytes, uid: int, cuts: Counter[str]) -> None:
    while True:
        with suppress(OSError, EOFError):
            async with place(path, uid) as peer:
                await KINDS[kind](peer, call)
        cuts[kind] += 1
        await asyncio.sleep(_PAUSE_S)


async def _main(runtime: Path, uid: int, places: int) -> None:
    cuts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    tasks = [
        asyncio.create_task(_again(kind, runtime / name, request(method), uid, cuts))
        for name, method in _SOCKETS.items()
        for kind in KINDS
        for _ in range(places)
    ]
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    sys.stdout.write(json.dumps(cuts))


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
