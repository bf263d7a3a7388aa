# SPDX-License-Identifier: Apache-2.0
"""The agent's way to know a face beside what a user would run instead: processes that take turns on one core."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from facelatch.errors import FacelatchError
from facelatch.models import read_model
from facelatch.shipped import ENCODERS
from tools.bench import clock, field, twin
from tools.bench.clock import Times
from tools.bench.figures import Figures
from tools.bench.stages import Scene


class RivalError(FacelatchError):
    """A contender ended, or does not know the face."""


class Process:
    """A contender's process, ready to be asked. Leaving the block ends it.

    Attributes:
        hello: what it said of itself.
        ready_ms: from its start to that.

    Raises:
        RivalError: it ended.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        began = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tools.bench.contender", name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.hello: dict[str, Any] = self._read()
        self.ready_ms = (time.perf_counter() - began) * 1e3

    def ask(self, what: str) -> dict[str, float]:
        """Have it "look" or "encode"; return the milliseconds, and what it holds.

        Raises:
            RivalError: it ended.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        while line := self._process.stdout.readline():
            # Libraries print what they like.
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        reason = self._process.stderr.read().strip().splitlines()[-1:] or ["without a word"]
        self._end()
        raise RivalError(f"the contender {self._name} ended ({reason[0]})", "run it by itself to see why")

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._end()

    def _end(self) -> None:
        self._process.kill()
        # It is waited for, and all pipes are closed.
        with self._process:
            pass


def measure(scene: Scene, advance: Callable[[], None], rounds: int, starts: int) -> Figures:
    """Start all contenders that can be had, in turns, and have them look in turns.

    Args:
        scene: the face to know.
        advance: called after each of ``starts + rounds`` rounds.
        rounds: of looks.
        starts: of each process; the last ones are kept.
    """
    lacking = {name: why for name in field.RIVALS if (why := field.missing(name)) is not None}
    names = [field.OWN, *(name for name in field.RIVALS if name not in lacking)]
    ready: dict[str, list[float]] = {name: [] for name in names}
    answers: dict[str, dict[str, list[dict[str, float]]]] = {name: {"look": [], "encode": []} for name in names}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fl-")))
        _lay_out(folder, scene, onnx=field.ONNXRUNTIME in names)
        running: dict[str, Process] = {}
        for start in range(starts):
            for name in names:
                process = Process(name, folder)
                ready[name].append(process.ready_ms)
                with process if start < starts - 1 else ExitStack():
                    running[name] = process
            advance()
        for process in running.values():
            stack.enter_context(process)
        for _ in range(rounds):
            for what in ("look", "encode"):
                for name, process in running.items():
                    answers[name][what].append(process.ask(what))
            advance()
        hellos = {name: process.hello for name, process in running.items()}
    figures = Figures(missing=lacking)
    for name in names:
        figures.add(_contender(name, ready[name], hellos[name], answers[name]))
    figures.add(_compared(answers))
    return figures


def _lay_out(folder: Path, scene: Scene, *, onnx: bool) -> None:
    np.stack(scene.frames).tofile(folder / field.FRAMES)
    scene.crop.tofile(folder / field.CROP)
    for name in ENCODERS if onnx else ():
        (folder / name).with_suffix(".onnx").write_bytes(twin.as_onnx(twin.floated(read_model(name))))


def _contender(
    name: str, ready: list[float], hello: Mapping[str, Any], answers: Mapping[str, list[dict[str, float]]]
) -> Figures:
    key = name.replace("-", "_")
    own = name == field.OWN
    taken = {what: clock.of([(a["wall"], a["processor"]) for a in answers[what]]) for what in answers}
    figures = Figures(
        times={
            "frame_to_verdict_ms" if own else f"{key}_ms": taken["look"],
            f"{key}_encode_ms": taken["encode"],
            f"{key}_start_ms": Times(tuple(ready)),
        },
        values={
            f"{key}_rss_mb": answers["look"][-1]["rss_mb"],
            f"{key}_rss_peak_mb": answers["encode"][-1]["peak_mb"],
            **{f"{key}_rss_at_mb/{step}": value for step, value in hello["rss_mb"].items()},
            **{f"{key}_took_ms/{step}": round(value, 1) for step, value in hello["took_ms"].items()},
        },
    )
    if hello["stored_bytes"] is not None:
        figures.values[f"{key}_stored_bytes"] = hello["stored_bytes"]
    return figures


def _compared(answers: Mapping[str, dict[str, list[dict[str, float]]]]) -> Figures:
    """How many times longer each rival takes, by the clock and in processor time, with the interval over rounds."""
    figures = Figures()
    for name in [name for name in answers if name != field.OWN]:
        for kind, ending in (("wall", ""), ("processor", "_processor")):
            theirs, ours = ([each[kind] for each in answers[who]["look"]] for who in (name, field.OWN))
            middle, low, high = clock.ratio(theirs, ours)
            key = f"ratio_vs_{name.replace('-', '_')}{ending}"
            figures.values |= {key: round(middle, 2), f"{key}_ci95": f"{low:.2f} to {high:.2f}"}
    return figures
