# SPDX-License-Identifier: Apache-2.0
"""The real agent, in its process, used over its sockets, by its button and by its commands."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from facelatch.daemon.mode import Mode, write_mode
from facelatch.demo import portrait
from facelatch.demo.process import AgentProcess
from facelatch.demo.stage import Scene, Stage
from facelatch.hardware import standin
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface
from tools.bench import clock
from tools.bench.clock import Times
from tools.bench.figures import Figures
from tools.bench.memory import resident

# The agent sees the pulse's end and the rest go by before it is asked again.
_REST_SECONDS = 0.5
_TAP_SECONDS = 0.1
# How many times ``measure`` says that it got on.
STEPS = 6


def measure(advance: Callable[[], None], repeats: int, starts: int) -> Figures:
    """Start the real agent on replayed pictures, and use it.

    Args:
        advance: called ``STEPS`` times.
        repeats: of each request.
        starts: of the agent; the last one is used.
    """
    figures = Figures()
    times, values = figures.times, figures.values
    with ExitStack() as stack:
        stage = Stage(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fl-"))))
        stage.paint(portrait.read())
        stage.configure(pwd.getpwuid(os.getuid()).pw_name)
        door = _Door(stage)
        stage.show(Scene.ENROLMENT)
        times["ready_ms"] = Times(tuple(_started(stage) for _ in range(starts)))
        agent = stack.enter_context(AgentProcess(stage))
        asyncio.run(agent.ready())
        advance()
        values["rss_ready_mb"] = resident(agent.pid)
        asyncio.run(_verify(stage))
        values["rss_looked_mb"] = resident(agent.pid)
        times["enrol_over_socket_ms"] = Times((_timed(lambda: asyncio.run(_enroll(stage))),))
        advance()
        stage.show(Scene.RETURN)
        times["unlock_ms"] = clock.apart(lambda: _timed(lambda: asyncio.run(_verify(stage))), repeats)
        advance()
        values["rss_mb"] = values["rss_after_unlocks_mb"] = resident(agent.pid)
        values["rss_peak_with_argon2id_mb"] = resident(agent.pid, "VmHWM")
        (record,) = stage.state.glob("*.rec")
        values["stored_bytes_per_user"] = record.stat().st_size
        write_mode(stage.state, Mode.ARMED)
        times["press_to_latch_ms"] = clock.apart(door.press, repeats)
        advance()
        login = {**os.environ, "PAM_TYPE": "auth", "PAM_USER": "bench"}
        times["login_ms"] = _command(["pam", "--config", str(stage.config)], repeats, login)
        advance()
        times["cli_status_ms"] = _command(["status", "--runtime", str(stage.runtime)], repeats, dict(os.environ))
        advance()
    return figures


def _started(stage: Stage) -> float:
    """Milliseconds from the start of an agent to its first answer; it is ended again."""
    start = time.perf_counter()
    with AgentProcess(stage) as agent:
        asyncio.run(agent.ready())
        taken = (time.perf_counter() - start) * 1e3
        agent.stop()
    return taken


def _command(arguments: list[str], repeats: int, environment: dict[str, str]) -> Times:
    command = [sys.executable, "-m", "facelatch", *arguments]
    return clock.apart(
        lambda: _timed(lambda: subprocess.run(command, check=True, capture_output=True, env=environment)),  # noqa: S603 - our own program
        repeats,
    )


def _timed(call: Callable[[], object]) -> float:
    return clock.once(call)[0]


class _Door:
    """A button and a latch of the shipped stand-ins in a stage's configuration; a thread is their kernel."""

    def __init__(self, stage: Stage) -> None:
        self._pins = stage.directory / "pins"
        self._pins.mkdir()
        self._opened = threading.Event()
        self._closed = threading.Event()
        standin.make(self._pins)
        with stage.config.open("a") as config:
            config.write(f'[button]\ndevice = "{self._pins / "button"}"\n[latch]\nbackend = "led"\ntest = true\n')
            config.write(f'led = "{self._pins / "latch"}"\npulse = 0.1\ngap = 0.1\n')
        threading.Thread(target=standin.play, args=(self._pins, self._happened), daemon=True).start()

    def press(self) -> float:
        """Press, and return the milliseconds from letting go to the open latch."""
        self._opened.clear()
        self._closed.clear()
        standin.press(self._pins / "button", _TAP_SECONDS)
        start = time.perf_counter()
        self._opened.wait()
        taken = (time.perf_counter() - start) * 1e3
        self._closed.wait()
        time.sleep(_REST_SECONDS)
        return taken

    def _happened(self, word: str) -> None:
        (self._opened if word == "open" else self._closed).set()


async def _verify(stage: Stage) -> None:
    async with connect(AgentInterface, stage.runtime / "agent.sock") as agent:
        async for _ in agent.Verify():
            pass


async def _enroll(stage: Stage) -> None:
    async with connect(AgentInterface, stage.runtime / "agent.sock") as agent:
        async for _ in agent.Enroll(user="bench"):
            pass
