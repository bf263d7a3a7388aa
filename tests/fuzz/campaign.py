# SPDX-License-Identifier: Apache-2.0
"""Runs the engine on a target in a process of its own, and reads what it says of itself."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.planted import Planted, plant
from tests.fuzz.target import CORPUS, CRASHES, Target

_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_PROGRESS = re.compile(r"^#(\d+)\s.*\bcov: (\d+) ft: (\d+)", re.MULTILINE)
_ERROR = re.compile(r"[A-Za-z][\w.]*(rror|Exception)\b|==\d+== ERROR")
# An input that takes longer than this is a finding, and so is one that takes more memory.
_SECONDS = 60
_MEGABYTES = 1024


@dataclass(frozen=True)
class Outcome:
    """What a run of the engine came to.

    Attributes:
        executions: inputs tried.
        coverage: edges of the product that they reached.
        finding: the error that ended it, or None.
    """

    executions: int
    coverage: int
    finding: str | None


def fuzz(target: Target, runs: int, work: Path, said: Callable[[int], None]) -> Outcome:
    """Try so many inputs, going on from the corpus and what earlier runs left in ``work``.

    A finding's input goes to ``CRASHES``.

    Args:
        target: what is fuzzed.
        runs: inputs to try.
        work: folder of inputs that reach something new; made if missing.
        said: is told how many were tried so far.
    """
    CRASHES.joinpath(target.name).mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    _put(work, target.seeds())
    folders = [work, *(folder for folder in (CORPUS / target.name,) if folder.is_dir())]
    return _run(target, folders, runs, CRASHES / target.name, {}, said)


def hunt(target: Target, planted: Planted) -> Outcome:
    """Look for a planted fault, from the target's first seed alone and always by the same way."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        plant([planted], folder / "agent")
        (folder / "work").mkdir()
        _put(folder / "work", target.seeds()[:1])
        path = os.pathsep.join([str(folder / "agent"), os.environ.get("PYTHONPATH", "")])
        return _run(target, [folder / "work"], planted.runs, folder, {"PYTHONPATH": path}, lambda _: None, "-seed=1")


def minimise(target: Target, work: Path) -> int:
    """Make the corpus of as few inputs as reach all that ``work`` and the old one reach; return how many.

    Raises:
        RuntimeError: the engine does not choose any; the old corpus stays.
    """
    with tempfile.TemporaryDirectory() as place:
        chosen = Path(place, "chosen")
        chosen.mkdir()
        folders = [str(folder) for folder in (chosen, CORPUS / target.name, work) if folder.is_dir()]
        status, text = _engine(target, ["-set_cover_merge=1", *folders], {}, lambda _: None)
        if status or not any(chosen.iterdir()):
            raise RuntimeError(f"the corpus of {target.name} was not made anew: {text[-300:]}")
        shutil.rmtree(CORPUS / target.name, ignore_errors=True)
        _put(CORPUS / target.name, [path.read_bytes() for path in chosen.iterdir()])
    return len(list((CORPUS / target.name).iterdir()))


def _run(
    target: Target,
    folders: list[Path],
    runs: int,
    findings: Path,
    environment: dict[str, str],
    said: Callable[[int], None],
    *more: str,
) -> Outcome:
    with ExitStack() as stack:
        words = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "words"
        words.write_text("".join(f'"{_quoted(word)}"\n' for word in (*target.words, b"\0")))
        limits = [f"-runs={runs}", f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}"]
        told = ["-print_final_stats=1", f"-artifact_prefix={findings}/", f"-dict={words}"]
        status, text = _engine(target, [*limits, *told, *more, *map(str, folders)], environment, said)
    progress = _PROGRESS.findall(text)
    executed = _EXECUTED.search(text)
    executions = int(executed[1]) if executed else int(progress[-1][0]) if progress else 0
    return Outcome(executions, int(progress[-1][1]) if progress else 0, _finding(text) if status else None)


def _engine(
    target: Target, arguments: list[str], environment: dict[str, str], said: Callable[[int], None]
) -> tuple[int, str]:
    """Run it; return its status and all that it said."""
    command = [sys.executable, "-m", "tests.fuzz.engine", target.name, f"-max_len={target.max_bytes}", *arguments]
    lines = []
    with subprocess.Popen(  # noqa: S603 - this checkout's own program
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **environment}, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if progress := _PROGRESS.match(line):
                said(int(progress[1]))
    return process.returncode, "".join(lines)


def _finding(text: str) -> str:
    """The engine's word on what it found: the last line of a traceback, or its own."""
    lines = [line for line in text.splitlines() if _ERROR.match(line)]
    return lines[0] if lines else text[-300:]


def _quoted(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _put(folder: Path, inputs: list[bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        folder.joinpath(hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
