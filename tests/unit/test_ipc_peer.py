# SPDX-License-Identifier: Apache-2.0
"""A peer is who the kernel says it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from facelatch.ipc import peer as peer_module
from facelatch.ipc.peer import Peer


def test_we_are_at_the_other_end_of_our_own_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = Peer.of(ours)
    assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


def test_groups_the_kernel_will_not_tell_are_not_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown_option = 9999
    monkeypatch.setattr(peer_module, "_SO_PEERGROUPS", unknown_option)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert Peer.of(ours).groups == {os.getegid()}


def test_a_connection_without_credentials_is_nobodys() -> None:
    with socket.socket(socket.AF_INET) as elsewhere:
        assert Peer.of(elsewhere).uid == 2**32 - 1


@contextmanager
def connected_as(uid: int, gid: int, groups: list[int]) -> Iterator[socket.socket]:
    """Accept a connection from a process of another user."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # a free abstract name: the user need not reach into any directory
        listening.listen()
        child = os.fork()
        if child == 0:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(listening.getsockname())
                connection.recv(1)  # until the other side has seen enough
            os._exit(0)
        connection, _ = listening.accept()
        try:
            with connection:
                yield connection
        finally:
            os.waitpid(child, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_is_seen_as_such() -> None:
    with connected_as(uid=4711, gid=4712, groups=[4713, 4714]) as connection:
        peer = Peer.of(connection)
    assert peer.uid == 4711
    assert peer.gid == 4712
    assert peer.groups == {4712, 4713, 4714}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have more groups than fit")
def test_a_peer_in_too_many_groups_counts_as_in_none_of_them() -> None:
    with connected_as(uid=4711, gid=4712, groups=list(range(5000, 5300))) as connection:
        assert Peer.of(connection).groups == {4712}
