# SPDX-License-Identifier: Apache-2.0
"""Stands between clients and the agent's sockets, and keeps every byte that passes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_CHUNK = 64 * 1024


class Recorder:
    """Copies between each connection and the agent's; ``streams`` has the bytes of each direction of each.

    Args:
        behind: directory of the agent's sockets.
        before: directory to make sockets of the same names in.
    """

    def __init__(self, behind: Path, before: Path) -> None:
        self.streams: list[bytearray] = []
        self._behind = behind
        self._before = before
        self._threads: list[threading.Thread] = []

    @contextmanager
    def recording(self, *names: str) -> Iterator[Path]:
        """Listen under these names for the length of a block, and give the directory to connect to."""
        self._before.mkdir(exist_ok=True)
        with ExitStack() as stack:
            for name in names:
                listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                listening.bind(str(self._before / name))
                stack.callback((self._before / name).unlink)
                listening.listen()
                # A blocked accept() ends by this, and not by closing the descriptor.
                stack.callback(listening.shutdown, socket.SHUT_RDWR)
                self._in_thread(self._accept, listening, self._behind / name)
            yield self._before
        for thread in self._threads:
            thread.join()

    def _accept(self, listening: socket.socket, target: Path) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                self._in_thread(self._join, client, target)

    def _join(self, client: socket.socket, target: Path) -> None:
        with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent, suppress(OSError):
            agent.connect(str(target))
            back = threading.Thread(target=self._copy, args=(agent, client))
            back.start()
            self._copy(client, agent)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        stream = bytearray()
        self.streams.append(stream)
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                stream += data
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()
