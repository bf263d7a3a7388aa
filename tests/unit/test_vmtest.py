# SPDX-License-Identifier: Apache-2.0
"""The parts of the emulated machine's test that need no machine."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tools.booted import Booted, Done
from tools.debian import StoryError
from tools.vmtest import hardware, image
from tools.vmtest.chapters import COUNT
from tools.vmtest.wire import GuestAgent, Wire

Answers = Callable[[dict[str, Any]], list[dict[str, Any]]]


@contextmanager
def peer(path: Path, answers: Answers) -> Iterator[None]:
    """Somebody at the other end, who answers each line with some."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        try:
            while True:
                connection, _ = server.accept()
                with connection, connection.makefile("rwb", buffering=0) as lines:
                    for line in lines:
                        for answer in answers(json.loads(line)):
                            lines.write(json.dumps(answer).encode() + b"\n")
        except OSError:
            pass  # the test has ended

    Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


class Machine:
    """Answers as the agent in a machine would in which every command echoes its input, and needs asking twice."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def __call__(self, question: dict[str, Any]) -> list[dict[str, Any]]:
        match question["execute"]:
            case "guest-exec":
                given = question["arguments"]["input-data"]
                self.states = [{"exited": False}, {"exited": True, "exitcode": 3, "out-data": given}]
                return [{"return": {"pid": 7}}]
            case "guest-exec-status":
                return [{"return": self.states.pop(0)}]
            case "guest-sync":
                return [{"return": 1}, {"return": question["arguments"]["id"]}]
        return [{"event": "of no concern"}, {"error": {"desc": "no such command"}}]


def test_a_command_is_run_to_its_end(tmp_path: Path) -> None:
    with peer(tmp_path / "socket", Machine()):
        agent = GuestAgent(tmp_path / "socket", 20.0)
        assert agent.is_there()
        done = agent.run(["cat"], "what it was given")
        agent.close()
    assert (done.returncode, done.stdout, done.stderr) == (3, "what it was given", "")


def test_what_is_refused_is_an_error(tmp_path: Path) -> None:
    with peer(tmp_path / "socket", Machine()):
        wire = Wire(tmp_path / "socket", 20.0)
        with pytest.raises(StoryError, match="no such command"):
            wire.ask("dance")
        wire.close()


def test_who_does_not_answer_is_not_there(tmp_path: Path) -> None:
    with peer(tmp_path / "socket", lambda _: []):
        assert not GuestAgent(tmp_path / "socket", 20.0).is_there()


def count(disk: Path, *files: Path) -> list[str]:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", COUNT, str(disk), *map(str, files)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_what_lies_on_a_disk_is_found_wherever_it_lies(tmp_path: Path) -> None:
    there, elsewhere = tmp_path / "there", tmp_path / "elsewhere"
    there.write_bytes(random.Random(1).randbytes(5000))  # noqa: S311 - a test's
    elsewhere.write_bytes(random.Random(2).randbytes(5000))  # noqa: S311 - a test's
    disk = tmp_path / "disk"
    for begins in (0, 4096, 2**20 - 100, 3 * 2**20 - 5000):
        data = bytearray(3 * 2**20)
        data[begins : begins + 5000] = there.read_bytes()
        disk.write_bytes(data)
        assert count(disk, there, elsewhere) == ["1", "0"]


@pytest.mark.skipif(shutil.which("mke2fs") is None or shutil.which("debugfs") is None, reason="e2fsprogs is missing")
def test_a_disk_holds_what_a_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "folder" / "sub").mkdir(parents=True)
    (tmp_path / "folder" / "sub" / "file").write_text("what is in it")
    image.make_disk(tmp_path / "folder", tmp_path / "disk.ext4")
    command = [str(shutil.which("debugfs")), "-R", "cat /sub/file", str(tmp_path / "disk.ext4")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - as above
    assert shown.stdout == "what is in it"


def test_films_are_whole_pictures(tmp_path: Path) -> None:
    hardware.pack(tmp_path)
    films = sorted((tmp_path / "films").iterdir())
    assert [film.name for film in films] == ["anna", "nobody", "stranger"]
    assert {film.stat().st_size % (640 * 480 * 3) for film in films} == {0}
    assert (tmp_path / "inside" / "pins.py").is_file()


class Heard(Booted):
    """A machine whose pins are heard as a file says."""

    guard_s = 0.2

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *command: str, given: str = "", user: str = "") -> Done:  # noqa: ARG002 - as the base has it
        return Done(list(command), 0, self.path.read_text(), "")


def test_only_what_came_after_is_heard(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    heard.write_text("ready\nlatch on 1.0\nlatch off 2.0\n")
    pins = hardware.Pins(Heard(heard))
    assert not pins.has("latch", "on")
    with pytest.raises(StoryError, match="latch on"):
        pins.when("latch", "on")
    heard.write_text(heard.read_text() + "light on 3.0\nlatch on 4.5\nlatch off 6.5\n")
    assert pins.when("latch", "on") == 4.5
    assert not pins.has("light", "on")
    assert pins.when("latch", "off") == 6.5
