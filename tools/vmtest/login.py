# SPDX-License-Identifier: Apache-2.0
"""A person at a serial line: reads what is shown, types lines."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.debian import StoryError

PASSWORD = "correct horse"  # noqa: S105 - of an account in an emulated machine


class Console:
    """One end of the line.

    Args:
        path: of the line's socket.
        patience_s: for what must be shown.
    """

    def __init__(self, path: Path, patience_s: float) -> None:
        self._patience_s = patience_s
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.settimeout(1.0)
        self._shown = ""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._socket.close()

    def type(self, line: str) -> None:
        """Type a line."""
        self._socket.sendall(f"{line}\r".encode())

    def read_until(self, text: str) -> str:
        """Wait until something is shown; return what was shown before it since the last time.

        Raises:
            StoryError: it is not shown.
        """
        end = time.monotonic() + self._patience_s
        while time.monotonic() < end:
            before, found, after = self._shown.partition(text)
            if found:
                self._shown = after
                return before
            try:
                self._shown += self._socket.recv(4096).decode(errors="replace")
            except TimeoutError:
                continue
        raise StoryError(f"{text!r} is not shown", f"shown is {self._shown[-200:]!r}")
