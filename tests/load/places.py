# SPDX-License-Identifier: Apache-2.0
"""Connections in the name of users who need not exist. For root."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.agent import NOBODY
from tests.ipc_peers import RawPeer

FIRST_UID = 61000
"""From here on, nobody has an account."""


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Be another user, of nobody's group, to whom we connect to."""
    before = os.getegid()
    os.setegid(NOBODY)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before)


@asynccontextmanager
async def place(path: Path, uid: int) -> AsyncIterator[RawPeer]:
    """Connect as a user.

    Raises:
        OSError: the socket takes nobody.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        with acting_as(uid):
            connection.connect(str(path))
        reader, writer = await asyncio.open_unix_connection(sock=connection)
    except BaseException:
        connection.close()
        raise
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
