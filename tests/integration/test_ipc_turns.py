# SPDX-License-Identifier: Apache-2.0
"""How often one user may have the agent, on however many connections and by however small pieces."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from facelatch.ipc import server as server_module
from facelatch.ipc.limits import STATUS_LIMITS, Limits
from tests.ipc_peers import (
    AGENT,
    LIST,
    NEVER,
    Deeds,
    RawPeer,
    assert_served,
    connected,
    count_pieces,
    everybody_is,
    request,
    run,
    serving,
    turns,
    until,
)

SLOWLY = Limits(turns_per_second=1 / NEVER, turns_at_once=5)
"""With these, nobody who has had five turns has another in this test."""


async def answers(peer: RawPeer, asked: int) -> int:
    """Have so many requests answered, one after the other, and count those that are in time."""
    for answered in range(asked):
        await peer.send(LIST)
        reply = asyncio.ensure_future(peer.receive())
        await turns()
        if not reply.done():
            reply.cancel()
            return answered
        await reply
    return asked


@pytest.mark.parametrize(
    ("uid", "answered"),
    # The connection was the first of five, and one more is had on credit.
    [(1000, 5), pytest.param(0, 30, id="root")],
)
def test_whoever_asks_without_end_is_read_more_slowly(
    path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, answered: int
) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), SLOWLY), connected(path) as peer, connected(path) as other:
            await turns()
            assert await answers(peer, 30) == answered
            assert await answers(other, 1) == 1

    with everybody_is(monkeypatch, [uid, 1001]):
        run(scenario())


def test_turns_are_a_users_and_not_a_connections(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with serving(path, Deeds(), SLOWLY), connected(path) as one, connected(path) as two:
            await turns()
            assert await answers(one, 30) == 4
            assert await answers(two, 30) == 1  # on credit, as nobody knows whose request it is before it is read

    with everybody_is(monkeypatch, [1000, 1000]):
        run(scenario())


def test_who_has_no_turn_left_is_not_let_in(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(turns_per_second=1 / NEVER, turns_at_once=2)

    async def scenario() -> None:
        async with serving(path, Deeds(), limits), AsyncExitStack() as stack:
            for admitted in (True, True, False, True, True):
                peer = await stack.enter_async_context(connected(path))
                await turns()
                assert peer.reader.at_eof() != admitted

    with everybody_is(monkeypatch, [1000, 1000, 1000, 1001, 0]):
        run(scenario())


def test_turns_come_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(turns_per_second=1000.0, turns_at_once=1)

    async def scenario() -> None:
        async with serving(path, Deeds(), limits), connected(path) as peer:
            for _ in range(50):
                assert "users" in (await peer.ask(f"{AGENT}.ListUsers"))["parameters"]

    with everybody_is(monkeypatch, [1000]):
        run(scenario())


def test_whoever_crumbles_a_message_has_no_more_turns_than_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = count_pieces(monkeypatch)

    async def scenario() -> None:
        async with serving(path, Deeds(), SLOWLY), connected(path) as peer:
            for _ in range(50):
                peer.writer.write(b"a")
                await turns(4)

    with everybody_is(monkeypatch, [1000]):
        run(scenario())
    assert len(pieces) == 5


def test_what_lies_ready_is_not_read_before_its_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds, Limits(turns_per_second=1 / NEVER, turns_at_once=2)), connected(path) as peer:
            await peer.send(LIST * 4)  # no more than may wait
            await turns()
            assert deeds.calls == 2

    with everybody_is(monkeypatch, [1000]):
        run(scenario())


def test_a_hang_up_is_seen_once_the_rest_is_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(turns_per_second=20.0, turns_at_once=1)
    deeds = Deeds()

    async def scenario() -> None:
        async with serving(path, deeds, limits) as server:
            async with connected(path) as peer:
                await peer.send(request(f"{AGENT}.Verify", "more", user="endless"))
                await deeds.started.wait()
            await deeds.cancelled.wait()
            await until(lambda: not server.connections)

    with everybody_is(monkeypatch, [1000]):
        run(scenario())


def test_of_users_who_have_rested_nothing_is_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(turns_per_second=1e9)
    strangers = list(range(2000, 3000))

    async def scenario() -> int:
        async with serving(path, Deeds(), limits) as server, connected(path):
            for _ in strangers:
                await assert_served(path)
            assert 1000 in server._allowances  # who is here keeps theirs
            return len(server._allowances)

    with everybody_is(monkeypatch, [1000, *strangers]):
        assert run(scenario()) <= server_module._ALLOWANCES_KEPT


def test_the_refusals_of_one_user_do_not_have_the_journal_drop_the_audit_trail() -> None:
    """It takes 10,000 entries of a service in 30 s (RateLimitBurst= in journald.conf); a turn is one at most."""
    turns_of_one = sum(limits.turns_at_once + 30 * limits.turns_per_second for limits in (Limits(), STATUS_LIMITS))
    assert turns_of_one < 10_000 / 4
