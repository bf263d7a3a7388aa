# SPDX-License-Identifier: Apache-2.0
"""``facelatch demo`` as a newcomer runs it, and proof that each of its checks can fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from facelatch.demo import portrait, stage, story
from facelatch.demo.narrator import Narrator
from facelatch.demo.process import AgentProcess
from facelatch.demo.stage import Scene, Stage

COMMAND = (sys.executable, "-m", "facelatch", "demo")
GUARD_SECONDS = 180.0


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where demos make their directories; it has a short name, since sockets are made below it."""
    with tempfile.TemporaryDirectory(prefix="fl-") as directory:
        monkeypatch.setattr(tempfile, "tempdir", directory)
        yield Path(directory)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enrol as fast as the pictures come: for where the pace does not matter."""
    monkeypatch.setattr(stage, "_FPS", 240.0)
    monkeypatch.setattr(stage, "_ENROL_SECONDS", 0.1)


def environment(temporary: Path) -> dict[str, str]:
    return {"PATH": os.defpath, "TMPDIR": str(temporary)}


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def agent_pid(output: str) -> int:
    found = re.search(r"process (\d+)", output)
    assert found is not None, output
    return int(found[1])


def test_the_demo_in_an_empty_environment(temporary: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        COMMAND, env=environment(temporary), capture_output=True, text=True, timeout=GUARD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    steps = [line for line in done.stdout.splitlines() if line.startswith("  ✓")]
    assert len(steps) == 11
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120
    for told in (
        "the stranger is the same portrait, warped",
        "24 looks; public key ",
        "match: astronaut",
        "good, by the key from the enrolment",
        "refused, both times",
        "no match, no signature",
        "no face in view",
        "no piece of a picture file, not even the name",
        "exit status 0, sockets gone",
        "Not shown: liveness",
    ):
        assert told in done.stdout
    assert not runs(agent_pid(done.stdout))
    assert not any(temporary.iterdir())


@pytest.mark.usefixtures("brisk")
def test_what_is_kept_can_be_looked_at(temporary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert story.tell(keep=True)
    (directory,) = temporary.iterdir()
    assert f"Kept in {directory}" in capsys.readouterr().out
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {"pictures.png", "agent.log", "facelatch.toml", "records"} <= {path.name for path in directory.iterdir()}


@pytest.mark.usefixtures("brisk")
def test_it_fails_if_the_stranger_is_let_in(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swap(monkeypatch, Scene.STRANGER, Scene.RETURN)
    assert_fails(temporary, capsys, "the stranger got verify_match")


@pytest.mark.usefixtures("brisk")
def test_it_fails_if_the_person_is_not_let_in(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swap(monkeypatch, Scene.RETURN, Scene.STRANGER)
    assert_fails(temporary, capsys, "the person got verify_no_match")


@pytest.mark.usefixtures("brisk")
def test_it_fails_if_the_room_is_not_empty(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    swap(monkeypatch, Scene.ROOM, Scene.STRANGER)
    assert_fails(temporary, capsys, "the empty room got verify_no_match")


@pytest.mark.usefixtures("brisk")
def test_it_fails_if_the_signature_is_by_another_key(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol = story._enrol

    async def enrol_and_note_another_key(narrator: Narrator, stage: Stage) -> bytes:
        await enrol(narrator, stage)
        return bytes(SigningKey.generate().verify_key)

    monkeypatch.setattr(story, "_enrol", enrol_and_note_another_key)
    assert_fails(temporary, capsys, "the signature is not the enrolled person's")


def test_it_fails_if_the_stranger_is_the_person(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stage, "stranger", lambda portrait: portrait)
    assert_fails(temporary, capsys, "the stranger is too like the person")


def test_it_fails_with_the_agents_own_words_if_that_does_not_start(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Stage, "show", lambda *_: None)
    out = assert_fails(temporary, capsys, "the agent ended at once with status 2")
    assert "camera does not exist" in out.partition("The last the agent said")[2]


def test_it_fails_without_the_portrait(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(portrait, "PACKAGE", "no_such_package")
    assert_fails(temporary, capsys, "is not installed: run `make setup`")


def test_it_fails_where_sockets_cannot_be_made(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = temporary / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert_fails(deep, capsys, "set TMPDIR to a shorter one")


def test_terminated_it_leaves_nothing_behind(temporary: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        COMMAND, env=environment(temporary), stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        pid = next(agent_pid(line) for line in demo.stdout if "start the agent" in line)
        assert runs(pid)
        demo.terminate()
        demo.stdout.read()
        assert demo.wait(GUARD_SECONDS) == 128 + signal.SIGTERM
    assert not runs(pid)
    assert not any(temporary.iterdir())


def swap(monkeypatch: pytest.MonkeyPatch, scene: Scene, instead: Scene) -> None:
    """Have the camera show one scene where it is pointed at another."""
    show = Stage.show
    monkeypatch.setattr(Stage, "show", lambda self, wanted: show(self, instead if wanted is scene else wanted))


def assert_fails(temporary: Path, capsys: pytest.CaptureFixture[str], reason: str) -> str:
    """Run a demo that must fail for a reason, and clear up all the same; return what it printed."""
    started = []
    create = AgentProcess.__init__

    def note(self: AgentProcess, stage: Stage) -> None:
        create(self, stage)
        started.append(self.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AgentProcess, "__init__", note)
        assert not story.tell()
    out = capsys.readouterr().out
    assert reason in out
    assert "All went as told" not in out
    assert not any(map(runs, started))
    assert not any(temporary.iterdir())
    return out
