# SPDX-License-Identifier: Apache-2.0
"""What the agent costs, measured on the agent: ``python -m tools.bench [--json FILE]``.

Times are medians over warm repeats on one thread; they belong to the machine they were taken on. Memory is the agent
process's, from /proc.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
import numpy as np

from facelatch import parameters
from facelatch.daemon.mode import Mode, write_mode
from facelatch.demo import portrait
from facelatch.demo.process import AgentProcess
from facelatch.demo.stage import Scene, Stage
from facelatch.face.alignment import align
from facelatch.face.detector import Detector
from facelatch.face.mesh import Mesh
from facelatch.hardware import standin
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface
from facelatch.l2fe import keys
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.rotation import rotation
from facelatch.models import DETECTOR, MESH, read_model
from facelatch.shipped import encoders, face_path

_USERS = (1, 10, 100, 1000)
_SEED = 5
# NumPy's own threads would make one core's figures those of all; they can be forbidden only before it is loaded.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# The agent sees the pulse's end and the rest go by before it is asked again.
_REST_SECONDS = 0.5
_TAP_SECONDS = 0.1
Figures = dict[str, object]


@click.command()
@click.option("--json", "output", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here too.")
def main(output: Path | None) -> None:
    """Measure, show progress, and print a table."""
    if not _ONE_THREAD.items() <= os.environ.items():
        arguments = [sys.executable, "-m", "tools.bench", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, **_ONE_THREAD})  # noqa: S606 - this program once more
    parts: list[Callable[[], Figures]] = [_face, _core, _agent]
    figures: Figures = {}
    with click.progressbar(parts, label="Measuring", file=sys.stderr) as bar:
        for part in bar:
            figures |= part()
    click.echo("| figure | value |\n|---|---|")
    for name, value in figures.items():
        click.echo(f"| {name} | {value} |")
    if output is not None:
        output.write_text(json.dumps(figures, indent=1) + "\n")


def _face() -> Figures:
    detector, mesh = Detector(read_model(DETECTOR)), Mesh(read_model(MESH))
    encode, path = encoders(), face_path()
    picture = portrait.read()
    face = detector(picture)[0]
    crop = align(picture, mesh(picture, face).five)
    return {
        "detect_ms": _median(lambda: detector(picture)),
        "mesh_ms": _median(lambda: mesh(picture, face)),
        "encode_int8_ms": _median(lambda: encode(crop)),
        "frame_ms": _median(lambda: path.look(picture)),
    }


def _core() -> Figures:
    p = parameters.read("standard")
    random = np.random.default_rng(_SEED)
    decoder = Decoder(p.lattice.basis, p.beam, p.lattice.copies)
    targets = random.uniform(0, p.lattice.modulus, (max(_USERS), p.k))
    radius = p.accept_radius * p.scale

    def stretch() -> None:
        keys.stretch(b"s", pepper=bytes(32), binding=(b"",), salt=bytes(16), cost=p.argon2id)

    return {
        "parameters_load_ms": _median(lambda: parameters.read("standard"), 5),
        "rotation_ms": _median(lambda: rotation.__wrapped__(bytes(32), p.k), 9),
        "decode_ms": {n: _median(partial(decoder, targets[:n], radius, 2), 9 if n < 1000 else 3) for n in _USERS},
        "argon2id_ms": _median(stretch, 5),
    }


def _agent() -> Figures:
    """Start the real agent on replayed pictures, and use it."""
    with ExitStack() as stack:
        stage = Stage(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fl-"))))
        stage.paint(portrait.read())
        stage.configure(pwd.getpwuid(os.getuid()).pw_name)
        door = _Door(stage)
        stage.show(Scene.ENROLMENT)
        start = time.perf_counter()
        agent = stack.enter_context(AgentProcess(stage))
        asyncio.run(agent.ready())
        ready = time.perf_counter() - start
        figures: Figures = {"ready_ms": round(ready * 1e3), "rss_ready_mb": _memory(agent.pid, "VmRSS")}
        asyncio.run(_verify(stage))
        figures["rss_looked_mb"] = _memory(agent.pid, "VmRSS")
        asyncio.run(_enroll(stage))
        stage.show(Scene.RETURN)
        figures["unlock_ms"] = _median(lambda: asyncio.run(_verify(stage)), 9)
        figures["rss_after_unlocks_mb"] = _memory(agent.pid, "VmRSS")
        figures["rss_peak_with_argon2id_mb"] = _memory(agent.pid, "VmHWM")
        (record,) = stage.state.glob("*.rec")
        figures["stored_bytes_per_user"] = record.stat().st_size
        write_mode(stage.state, Mode.ARMED)
        figures["press_to_latch_ms"] = _median_of(door.press, 9)
        login = {**os.environ, "PAM_TYPE": "auth", "PAM_USER": "bench"}
        command = [sys.executable, "-m", "facelatch", "pam", "--config", str(stage.config)]
        figures["login_ms"] = _median(
            lambda: subprocess.run(command, check=True, capture_output=True, env=login),  # noqa: S603 - our own program
            9,
        )
        command = [sys.executable, "-m", "facelatch", "status", "--runtime", str(stage.runtime)]
        figures["cli_status_ms"] = _median(
            lambda: subprocess.run(command, check=True, capture_output=True),  # noqa: S603 - our own program
            9,
        )
    return figures


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
        """Press, and return the seconds from letting go to the open latch."""
        self._opened.clear()
        self._closed.clear()
        standin.press(self._pins / "button", _TAP_SECONDS)
        start = time.perf_counter()
        self._opened.wait()
        taken = time.perf_counter() - start
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


def _median(call: Callable[[], object], repeats: int = 25) -> float:
    """Milliseconds of a call, after one that warms up."""

    def timed() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return _median_of(timed, repeats)


def _median_of(timed: Callable[[], float], repeats: int) -> float:
    """Milliseconds of what tells its own seconds, after one that warms up."""
    timed()
    return round(statistics.median(timed() for _ in range(repeats)) * 1e3, 2)


def _memory(pid: int, field: str) -> float:
    """Megabytes, from the kernel's count of the process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return round(int(kilobytes) / 1000, 1)


if __name__ == "__main__":
    main()
