# SPDX-License-Identifier: Apache-2.0
"""Who takes part in tests/session_machine.py: people before the camera, and peers on the socket."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from facelatch.face.path import Look
from facelatch.face.quality import Hint
from facelatch.vault.lockout import DEVICE
from tests.faces import moved, someone
from tests.in_process import CHEAP

NAMES = ("anna", "bob", "cleo")
FACES = ("anna", "bob", "eve")
LOOKS_EACH = 4
_RNG = np.random.default_rng(11)
_PEOPLE = [someone(CHEAP, _RNG) for _ in FACES]

NOBODY = 0
"""The frame that shows no face."""

LOOKS = [
    Look(hint=Hint.NO_FACE),
    *(Look(moved(CHEAP, x, 2.0, _RNG).astype(np.float32)) for x in _PEOPLE for _ in range(LOOKS_EACH)),
]


def face(frame: int) -> str | None:
    """Whom a frame shows."""
    return None if frame == NOBODY else FACES[(frame - 1) // LOOKS_EACH]


@dataclass
class Request:
    """What somebody asked for, and what they have heard."""

    connection: socket.socket
    method: str
    user: str | None
    subject: str = DEVICE
    seen: list[str] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    rest: bytes = b""

    @property
    def end(self) -> dict[str, Any] | None:
        """The last reply, if it has come."""
        return self.replies[-1] if self.replies and not self.replies[-1].get("continues") else None

    @property
    def error(self) -> str | None:
        """The error that it ended in, without the interface's name."""
        name = None if self.end is None else self.end.get("error")
        return None if name is None else str(name).rpartition(".")[2]

    def hear(self) -> None:
        """Take what was answered."""
        with suppress(BlockingIOError):
            while more := self.connection.recv(1 << 16):
                self.rest += more
        *whole, self.rest = self.rest.split(b"\0")
        self.replies += [json.loads(reply) for reply in whole]
