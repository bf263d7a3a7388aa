# SPDX-License-Identifier: Apache-2.0
"""Arming and set-up: a file beside the records, a journal entry for each change, and only by who may write there."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest
from click.testing import CliRunner, Result

from facelatch.cli import main
from facelatch.daemon import audit
from facelatch.daemon.audit import MessageId
from facelatch.daemon.mode import Mode, read_mode
from tests.agent import NOBODY


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The journal's end of its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.setblocking(False)
        monkeypatch.setattr(audit, "_JOURNAL", str(tmp_path / "journal"))
        yield listening


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "records"
    state.mkdir(mode=0o700)
    (tmp_path / "facelatch.toml").write_text(f'state = "{state}"\n')
    return state


def run(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--config", str(state.parent / "facelatch.toml")])


@pytest.mark.parametrize(
    ("command", "mode"), [(["arm"], Mode.ARMED), (["set-up"], Mode.SET_UP), (["arm", "--off"], Mode.DISARMED)]
)
def test_each_change_is_kept_and_in_the_journal(
    state: Path, journal: socket.socket, command: list[str], mode: Mode
) -> None:
    result = run(state, *command)
    assert result.exit_code == 0, result.output
    assert read_mode(state) is mode
    entry = journal.recv(65536).decode()
    assert f"MESSAGE_ID={MessageId[mode.name.lower()].value}\n" in entry
    assert f"FACELATCH_PEER_UID={os.getuid()}\n" in entry


def test_arming_ends_the_set_up_and_the_other_way_round(state: Path, journal: socket.socket) -> None:  # noqa: ARG001
    for command, mode in (("set-up", Mode.SET_UP), ("arm", Mode.ARMED), ("set-up", Mode.SET_UP)):
        assert run(state, command).exit_code == 0
        assert read_mode(state) is mode


@pytest.mark.parametrize("content", [b"", b"armed?", b"ARMED", b"armed" * 10, b"\xff"])
def test_what_cannot_be_read_is_disarmed(state: Path, content: bytes) -> None:
    (state / "door").write_bytes(content)
    assert read_mode(state) is Mode.DISARMED


def test_a_link_to_something_that_says_armed_is_not_followed(state: Path) -> None:
    (state.parent / "elsewhere").write_text("armed\n")
    (state / "door").symlink_to(state.parent / "elsewhere")
    assert read_mode(state) is Mode.DISARMED


def test_before_the_agent_has_a_state_there_is_nothing_to_arm(state: Path, journal: socket.socket) -> None:
    state.rmdir()
    result = run(state, "arm")
    assert result.exit_code == 2
    assert "does not exist" in result.output
    with pytest.raises(BlockingIOError):
        journal.recv(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_others_may_not(state: Path, journal: socket.socket) -> None:
    for folder in itertools.takewhile(lambda folder: folder != Path(gettempdir()), state.parents):
        folder.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        result = run(state, "arm")
    finally:
        os.seteuid(0)
    assert result.exit_code == 2
    assert "not allowed" in result.output
    assert read_mode(state) is Mode.DISARMED
    with pytest.raises(BlockingIOError):
        journal.recv(1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_what_root_writes_the_agent_can_read(state: Path, journal: socket.socket) -> None:  # noqa: ARG001
    os.chown(state, NOBODY, NOBODY)
    assert run(state, "arm").exit_code == 0
    assert (state / "door").stat().st_uid == NOBODY
