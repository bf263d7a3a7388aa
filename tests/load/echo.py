# SPDX-License-Identifier: Apache-2.0
"""The yardstick: a server that only echoes, ``python -m tests.load.echo SOCKET``. What it is late, the machine is."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.ipc_peers import connected, request

_PERIOD_S = 0.1
_MESSAGE = request("echo")


async def measure(path: Path, answers: list[float]) -> None:
    """Have a message echoed again and again, for ever, and note how long each took, in seconds."""
    while not _listens(path):
        await asyncio.sleep(_PERIOD_S)
    async with connected(path) as peer:
        while True:
            asked = time.monotonic()
            await peer.send(_MESSAGE)
            await peer.receive()
            answers.append(time.monotonic() - asked)
            await asyncio.sleep(_PERIOD_S)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)


async def _serve(path: str) -> None:
    async with await asyncio.start_unix_server(_echo, path):
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
