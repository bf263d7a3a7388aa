# SPDX-License-Identifier: Apache-2.0
"""The two sockets of an emulated machine: QMP, to the emulator, and the guest agent's, into the machine."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tools.booted import ENVIRONMENT, Done
from tools.debian import StoryError

_PIECE = 65536
# What is emulated takes seconds, and every question costs some of it.
_POLL_S = 0.2


class Wire:
    """One socket on which each line is a JSON object.

    Args:
        path: of the socket.
        patience_s: for an answer.
    """

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patience_s)
        self._socket.connect(str(path))
        self._rest = b""

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """Give a command and return its answer; what comes besides is passed over.

        Raises:
            StoryError: it is refused, or nobody answers.
        """
        self.send({"execute": command, "arguments": arguments} if arguments else {"execute": command})
        while True:
            answer = self.receive()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise StoryError(f"{command} is refused ({answer['error'].get('desc')})", "see the console")

    def send(self, message: object) -> None:
        """Send one object."""
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise self._lost(error) from error

    def receive(self) -> dict[str, Any]:
        """Receive one object."""
        while b"\n" not in self._rest:
            try:
                piece = self._socket.recv(_PIECE)
            except OSError as error:
                raise self._lost(error) from error
            if not piece:
                raise self._lost(EOFError("it has hung up"))
            self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        return found

    def _lost(self, error: Exception) -> StoryError:
        return StoryError(f"{self._path.name} does not answer ({error})", "see the console")


def screenshot(path: Path, picture: Path, patience_s: float = 20.0) -> None:
    """Take a picture (PNG) of the machine's screen, by its QMP socket."""
    wire = Wire(path, patience_s)
    try:
        wire.receive()  # it greets
        wire.ask("qmp_capabilities")
        wire.ask("screendump", filename=str(picture), format="png")
    finally:
        wire.close()


class GuestAgent:
    """The agent in the machine, through which commands are run.

    Args:
        path: of its socket.
        patience_s: for an answer, and for the end of a command.
    """

    def __init__(self, path: Path, patience_s: float) -> None:
        self._path = path
        self._patience_s = patience_s
        self._wire: Wire | None = None

    def is_there(self) -> bool:
        """Whether it answers, within a second."""
        self._hang_up()
        wire = Wire(self._path, 1.0)
        try:
            number = time.monotonic_ns() % 2**31
            wire.send({"execute": "guest-sync", "arguments": {"id": number}})
            # An earlier one's answer may still be in the line.
            while wire.receive().get("return") != number:
                pass
        except StoryError:
            return False
        finally:
            wire.close()
        return True

    def run(self, command: Sequence[str], given: str) -> Done:
        """Run a command to its end.

        Raises:
            StoryError: it does not end, or cannot be started.
        """
        if self._wire is None:
            self._wire = Wire(self._path, self._patience_s)
        arguments = {
            "path": command[0],
            "arg": list(command[1:]),
            "env": list(ENVIRONMENT),
            "input-data": base64.b64encode(given.encode()).decode(),
            "capture-output": True,
        }
        started = self._wire.ask("guest-exec", **arguments)
        end = time.monotonic() + self._patience_s
        while time.monotonic() < end:
            status = self._wire.ask("guest-exec-status", pid=started["pid"])
            if status["exited"]:
                code = status.get("exitcode", -status.get("signal", 1))
                return Done(list(command), code, _text(status, "out-data"), _text(status, "err-data"))
            time.sleep(_POLL_S)
        raise StoryError(f"`{' '.join(command)}` does not end", "see the console")

    def _hang_up(self) -> None:
        if self._wire is not None:
            with suppress(OSError):
                self._wire.close()
            self._wire = None

    close = _hang_up


def _text(status: dict[str, Any], key: str) -> str:
    return base64.b64decode(status.get(key, "")).decode(errors="replace")
