# SPDX-License-Identifier: Apache-2.0
"""Only a socket that nobody answers on is replaced."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from facelatch.ipc.listener import AgentRunningError, Listener, SocketPathError


def leave_behind(path: Path) -> None:
    """What an agent that was killed leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def test_a_socket_is_made_with_its_mode_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    listener = Listener.create(path, 0o660)
    assert stat.S_ISSOCK(path.lstat().st_mode)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o660
    listener.close()
    assert not path.exists()


def test_a_dead_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    leave_behind(path)
    listener = Listener.create(path, 0o666)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
    listener.close()


def test_a_live_socket_is_refused_and_lives_on(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    first = Listener.create(path, 0o666)
    with pytest.raises(AgentRunningError, match="another agent answers"):
        Listener.create(path, 0o666)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
    first.close()


def test_a_socket_whose_queue_is_full_counts_as_live(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(AgentRunningError):
            Listener.create(path, 0o666)


def test_what_is_not_a_socket_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.write_text("somebody's work")
    with pytest.raises(SocketPathError, match="is not a socket"):
        Listener.create(path, 0o666)
    assert path.read_text() == "somebody's work"


def test_a_link_to_a_dead_socket_is_not_followed(tmp_path: Path) -> None:
    target, path = tmp_path / "target.sock", tmp_path / "agent.sock"
    leave_behind(target)
    path.symlink_to(target)
    with pytest.raises(SocketPathError, match="is not a socket"):
        Listener.create(path, 0o666)
    assert path.is_symlink()
    assert target.exists()


@pytest.mark.parametrize("name", ["missing/agent.sock", "x" * 200])
def test_a_path_that_cannot_be_used_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SocketPathError, match="no socket can be made"):
        Listener.create(tmp_path / name, 0o666)


def test_a_socket_that_took_our_path_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    ours = Listener.create(path, 0o666)
    path.rename(tmp_path / "moved.sock")  # keeps the inode from being used again
    leave_behind(path)
    ours.close()
    assert path.exists()


def test_a_socket_from_systemd_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    Listener.adopt(listening).close()
    assert path.exists()


def test_only_listening_unix_streams_are_adopted() -> None:
    with socket.socket(socket.AF_UNIX) as idle, pytest.raises(ValueError, match="not a listening"):
        Listener.adopt(idle)
    with socket.create_server(("127.0.0.1", 0)) as network, pytest.raises(ValueError, match="not a listening"):
        Listener.adopt(network)
