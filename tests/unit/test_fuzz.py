# SPDX-License-Identifier: Apache-2.0
"""Every input that fuzzing has kept, through every reader; and proof that replay and fuzzer find what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import campaign
from tests.fuzz.planted import PLANTED, plant
from tests.fuzz.replay import findings
from tests.fuzz.target import CORPUS, CRASHES
from tests.fuzz.targets import TARGETS

MOST_INPUTS = 150
MOST_BYTES = 16 * 1024


@pytest.mark.parametrize("name", TARGETS)
def test_no_kept_input_does_harm(name: str) -> None:
    assert TARGETS[name].kept, "there is no corpus"
    assert findings(TARGETS[name]) == []


@pytest.mark.parametrize("name", TARGETS)
def test_the_first_seed_is_whole(name: str) -> None:
    """Else a target would only ever see the first check of its reader."""
    TARGETS[name].run(TARGETS[name].seeds()[0])


def test_the_corpus_is_small_and_nothing_else() -> None:
    files = [path for folder in (CORPUS, CRASHES) for path in folder.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} <= TARGETS.keys()
    assert all(len(TARGETS[name].kept) <= MOST_INPUTS for name in TARGETS)
    assert all(path.stat().st_size <= MOST_BYTES for path in files)


def test_replay_catches_a_planted_fault_in_every_target(tmp_path: Path) -> None:
    plant(PLANTED.values(), tmp_path)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tests.fuzz.replay"]
    done = subprocess.run(  # noqa: S603 - this checkout's own program
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert {line.partition(":")[0] for line in done.stdout.splitlines()} == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_the_fuzzer_finds_a_planted_fault(name: str) -> None:
    pytest.importorskip("atheris", reason="needs atheris: `make fuzz-setup`, on x86-64 only")
    outcome = campaign.hunt(TARGETS[name], PLANTED[name])
    assert outcome.finding is not None
    assert 0 < outcome.executions <= PLANTED[name].runs  # none: it did not even start, which it calls an error, too


def test_a_corpus_outlives_an_engine_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign, "CORPUS", tmp_path)
    monkeypatch.setattr(campaign, "_engine", lambda *_: (1, "No module named 'atheris'"))
    kept = tmp_path / "config" / "one"
    kept.parent.mkdir()
    kept.write_bytes(b"kept")
    with pytest.raises(RuntimeError, match="atheris"):
        campaign.minimise(TARGETS["config"], tmp_path / "work")
    assert kept.read_bytes() == b"kept"
