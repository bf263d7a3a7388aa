# SPDX-License-Identifier: Apache-2.0
"""The agent as a process of its own, started as an administrator would start it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from types import TracebackType
from typing import Final, Self

from facelatch.demo.errors import DemoError
from facelatch.demo.stage import Stage
from facelatch.errors import AgentUnreachableError
from facelatch.ipc.client import connect
from facelatch.ipc.interface import StatusInterface, StatusReply

# Loading the networks takes a second; a Raspberry Pi with a cold card is given much more.
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_POLL_SECONDS = 0.02


class AgentProcess:
    """An agent on a stage. Leaving the block ends it, whatever happened."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        with stage.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "facelatch", "run", "--config", str(stage.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=stage.directory,
            )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    async def ready(self) -> StatusReply:
        """Wait until the agent answers, and return how it is.

        Raises:
            DemoError: it ended, or does not answer in time.
        """
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if (status := self._process.poll()) is not None:
                raise DemoError(f"the agent ended at once with status {status}", "see its log below")
            try:
                async with connect(StatusInterface, self._stage.status_socket) as agent:
                    return await agent.GetStatus()
            except AgentUnreachableError:
                await asyncio.sleep(_POLL_SECONDS)
        raise DemoError(f"the agent does not answer after {READY_SECONDS:.0f} s", "see its log below")

    def stop(self) -> int:
        """Ask the agent to end (SIGTERM), and return its exit status.

        Raises:
            DemoError: it does not end.
        """
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"the agent does not end within {STOP_SECONDS:.0f} s", "see its log below") from None

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it if it still runs."""
        self._process.kill()
        self._process.wait()
