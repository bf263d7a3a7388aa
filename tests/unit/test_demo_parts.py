# SPDX-License-Identifier: Apache-2.0
"""The demo's stage, its search of the store, its door controller and its narrator, each without an agent."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from nacl.signing import SigningKey

from facelatch import config
from facelatch.daemon.signature import Statement
from facelatch.demo import evidence, portrait
from facelatch.demo.controller import Controller
from facelatch.demo.errors import DemoError, expect
from facelatch.demo.narrator import Narrator
from facelatch.demo.stage import AUDIENCE, Scene, Stage
from facelatch.ipc.interface import VerifyReply

CHALLENGE = bytes(range(32))
KEY = SigningKey(bytes(32))
STATEMENT = Statement(bytes(16), "anna", AUDIENCE, 1000, 1_700_000_000_000_000, CHALLENGE)
CONTROLLER = Controller(AUDIENCE, bytes(16), 1000, "anna", bytes(KEY.verify_key))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with TemporaryDirectory(prefix="facelatch-") as directory:
        yield Stage(Path(directory))


def signed(statement: Statement, key: SigningKey = KEY) -> VerifyReply:
    signature = base64.b64encode(key.sign(statement.encode()).signature).decode()
    return {"user": statement.user, "time_usec": statement.time_usec, "signature": signature}


def test_the_controller_accepts_what_was_signed_for_it() -> None:
    assert CONTROLLER.accepts(signed(STATEMENT), CHALLENGE)


@pytest.mark.parametrize(
    "other",
    [
        replace(STATEMENT, device_id=b"x" * 16),
        replace(STATEMENT, user="berta"),
        replace(STATEMENT, audience="back-door"),
        replace(STATEMENT, peer_uid=1001),
        replace(STATEMENT, challenge=bytes(32)),
    ],
)
def test_the_controller_refuses_what_was_signed_for_another(other: Statement) -> None:
    assert not CONTROLLER.accepts(signed(other), CHALLENGE)


def test_the_controller_refuses_another_time_or_key() -> None:
    later: VerifyReply = {**signed(STATEMENT), "time_usec": STATEMENT.time_usec + 1}
    assert not CONTROLLER.accepts(later, CHALLENGE)
    assert not CONTROLLER.accepts(signed(STATEMENT, SigningKey(b"x" * 32)), CHALLENGE)


@pytest.mark.parametrize("signature", [None, "", "!", "AAAA", base64.b64encode(bytes(64)).decode()])
def test_the_controller_refuses_what_is_no_signature(signature: str | None) -> None:
    assert not CONTROLLER.accepts({**signed(STATEMENT), "signature": signature}, CHALLENGE)


def test_challenges_differ() -> None:
    assert Controller.challenge() != Controller.challenge()


@pytest.mark.parametrize("login", ["anna", 'a "quoted" \\ name', "zoë"])
def test_the_agent_takes_the_configuration(stage: Stage, login: str) -> None:
    stage.configure(login)
    read = config.load(stage.config)
    assert read.policy.administrators == [login]
    assert read.audiences == {AUDIENCE: [login]}
    assert read.runtime == stage.runtime


def test_the_camera_is_pointed_from_scene_to_scene(stage: Stage) -> None:
    stage.show(Scene.ROOM)
    stage.configure("anna")
    source = Path(config.load(stage.config).camera.source)
    assert source.readlink() == stage.folder(Scene.ROOM)
    stage.show(Scene.STRANGER)
    assert source.readlink() == stage.folder(Scene.STRANGER)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    with pytest.raises(DemoError, match="too long a path for a socket: set TMPDIR"):
        Stage(deep)


def test_every_scene_is_painted_and_shown_on_the_sheet(stage: Stage) -> None:
    scenes = stage.paint(portrait.read())
    assert set(scenes) == set(Scene)
    for scene, pictures in scenes.items():
        assert len(list(stage.folder(scene).iterdir())) == len(pictures)
    assert stage.write_sheet(scenes).stat().st_size > 100_000


def test_the_search_finds_a_name_and_a_piece_of_a_picture(stage: Stage) -> None:
    stage.folder(Scene.ENROLMENT).mkdir(parents=True)
    picture = bytes(range(256))
    (stage.folder(Scene.ENROLMENT) / "0.jpg").write_bytes(picture)
    stage.state.mkdir()
    innocent, named, telling = (stage.state / name for name in ("1.rec", "2.rec", "3.rec"))
    innocent.write_bytes(b"\xff" * 300)
    named.write_bytes(b"\xff\xff\xffanna\xff\xff")
    telling.write_bytes(b"\xff" * 50 + picture[101:112] + b"\xff" * 50)
    files = evidence.stored(stage)
    assert files == [innocent, named, telling]
    assert evidence.holding(files, "anna") == [named]
    assert evidence.sharing_with_pictures(files, stage) == [telling]
    with pytest.raises(DemoError, match="3 records are stored"):
        evidence.only_record(stage)


def test_a_hexdump_says_that_there_is_more() -> None:
    assert evidence.hexdump(bytes(8), 8) == "00000000 00000000"
    assert evidence.hexdump(bytes(9), 8) == "00000000 00000000 ..."


def test_a_step_is_one_line_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    with Narrator().step("do it") as say:
        say("done")
        say("and well")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split() == ["✓", "0.00", "s", "do", "it", "done;", "and", "well"]


def test_a_step_that_fails_says_why_and_the_error_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DemoError), Narrator().step("do it"):
        expect(False, "it broke")
    assert capsys.readouterr().out.split() == ["✗", "0.00", "s", "do", "it", "it", "broke"]


def test_a_terminal_without_ticks_gets_words(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    with Narrator().step("do it"):
        pass
    plain.flush()
    assert plain.buffer.getvalue().split()[0] == b"ok"
