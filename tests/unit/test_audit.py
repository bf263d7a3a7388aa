# SPDX-License-Identifier: Apache-2.0
"""What the journal and the watchers are told, and that no peer writes into either."""

from __future__ import annotations

import asyncio
import logging
import re
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facelatch.daemon import audit
from facelatch.daemon.audit import Audit, MessageId
from facelatch.ipc.peer import Peer
from facelatch.ipc.words import MonitorEvent

ROOT = Path(__file__).parents[2]
PEER = Peer(42, 1000, 1000, frozenset())


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The journal's end of its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.setblocking(False)
        monkeypatch.setattr(audit, "_JOURNAL", str(tmp_path / "journal"))
        monkeypatch.setenv("JOURNAL_STREAM", "1:2")
        yield listening


def entry(journal: socket.socket) -> dict[str, str]:
    text = journal.recv(65536).decode()
    assert text.endswith("\n")
    return dict(line.split("=", 1) for line in text.splitlines())


def test_every_event_has_a_message_id_of_its_own() -> None:
    unwatched = {"refused", "lockout_reset", "latch_fault", "armed", "set_up", "disarmed", "reset", "rekeyed"}
    unwatched |= {"signed", "sealed", "unsealed", "forgotten", "enroll_refused", "storage_fault"}
    assert {event.name for event in MonitorEvent} | unwatched == set(MessageId.__members__)  # aliases would show
    assert all(re.fullmatch("[0-9a-f]{32}", member.value) for member in MessageId)


def test_every_event_is_explained_in_the_catalogue_and_in_the_docs() -> None:
    catalogue = (ROOT / "firmware_config" / "facelatch.catalog").read_text()
    explained = dict(re.findall(r"^-- ([0-9a-f]{32})\nSubject: (.+)$", catalogue, re.MULTILINE))
    assert explained.keys() == {member.value for member in MessageId}
    fields = {"FACELATCH_EVENT", "FACELATCH_USER", "FACELATCH_PEER_UID", "FACELATCH_PEER_PID", "FACELATCH_REASON"}
    assert set(re.findall(r"@(\w+)@", catalogue)) <= fields
    table = (ROOT / "docs" / "audit.md").read_text()
    rows = dict(re.findall(r"^\| (\w+)\*? \| .* \| `([0-9a-f]{32})` \|$", table, re.MULTILINE))
    assert rows == {member.name: member.value for member in MessageId}


@pytest.mark.parametrize("event", MonitorEvent)
def test_an_event_goes_to_the_journal_with_its_fields(journal: socket.socket, event: MonitorEvent) -> None:
    Audit().tell(event, PEER, "anna", "reason")
    assert entry(journal) == {
        "MESSAGE": f"{event.name} user=anna peer_uid=1000 peer_pid=42 reason=reason",
        "MESSAGE_ID": MessageId[event.name].value,
        "PRIORITY": {"verify_spoof": "5", "locked_out": "5", "camera_fault": "4"}.get(event.name, "6"),
        "SYSLOG_IDENTIFIER": "facelatch",
        "FACELATCH_EVENT": event.name,
        "FACELATCH_USER": "anna",
        "FACELATCH_PEER_UID": "1000",
        "FACELATCH_PEER_PID": "42",
        "FACELATCH_REASON": "reason",
    }


def test_where_there_is_no_reason_none_is_told(journal: socket.socket) -> None:
    Audit().tell(MonitorEvent.removed, PEER, "anna")
    Audit().note(MessageId.sealed, PEER, "anna")
    for told in (entry(journal), entry(journal)):
        assert told["FACELATCH_REASON"] == ""
        assert told["MESSAGE"].endswith(" user=anna peer_uid=1000 peer_pid=42")


@pytest.mark.parametrize(("asked", "stream", "written"), [(True, False, 1), (False, True, 1), (False, False, 0)])
def test_the_journal_is_told_where_it_reads_the_log_or_on_demand(
    journal: socket.socket, monkeypatch: pytest.MonkeyPatch, *, asked: bool, stream: bool, written: int
) -> None:
    if not stream:
        monkeypatch.delenv("JOURNAL_STREAM")
    log = Audit(journal=True) if asked else Audit()
    log.tell(MonitorEvent.removed, PEER, "anna")
    assert len(select.select([journal], [], [], 0)[0]) == written


def test_watchers_are_told_the_time_in_microseconds() -> None:
    async def watched() -> int:
        log = Audit()
        with log.watch() as happenings:
            log.tell(MonitorEvent.removed, PEER, "anna")
            return (await happenings.get()).time_usec

    before = time.time_ns() // 1000
    assert before <= asyncio.run(watched()) <= time.time_ns() // 1000


HOSTILE = [
    "x\nINFO facelatch.daemon.audit: verify_match user=root",
    "x\nMESSAGE_ID=0",
    "\x1b[2J",
    "\ud800",
    "a\N{RIGHT-TO-LEFT OVERRIDE}b",
    "x" * 60_000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_made_up_name_reaches_neither_journal_nor_watchers(journal: socket.socket, name: str) -> None:
    async def watched() -> str | None:
        log = Audit()
        with log.watch() as happenings:
            log.refused(PEER, name, "verify")
            log.tell(MonitorEvent.verify_no_match, PEER, name)
            return (await happenings.get()).user

    assert asyncio.run(watched()) == "(not a name)"
    for event in ("refused", "verify_no_match"):
        told = entry(journal)
        assert (told["FACELATCH_EVENT"], told["FACELATCH_USER"]) == (event, "(not a name)")


@pytest.mark.parametrize("name", HOSTILE)
def test_nor_the_log_where_there_is_no_journal(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    with caplog.at_level(logging.INFO):
        Audit().refused(PEER, name, "verify")
    assert [record.message for record in caplog.records] == [
        "refused user=(not a name) peer_uid=1000 peer_pid=42 reason=verify"
    ]


@pytest.mark.parametrize("said", HOSTILE)
def test_a_reason_is_one_short_line_whatever_a_path_or_a_library_puts_in(
    journal: socket.socket, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = Audit()
    log.tell(MonitorEvent.camera_fault, PEER, None, said)
    reason = entry(journal)["FACELATCH_REASON"]
    assert reason.isprintable()
    assert 0 < len(reason) <= 500
    assert reason[0] == said[0] or not said[0].isprintable()
    monkeypatch.setattr(audit, "_JOURNAL", "/nowhere")
    with caplog.at_level(logging.INFO):
        log.note(MessageId.storage_fault, PEER, "anna", said)
    assert [record.message for record in caplog.records] == [
        f"storage_fault user=anna peer_uid=1000 peer_pid=42 reason={reason}"
    ]


@pytest.mark.usefixtures("journal")
def test_a_journal_that_is_stuck_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    log = Audit()
    with caplog.at_level(logging.INFO):
        for _ in range(10_000):  # more than any socket takes that nobody reads
            log.refused(PEER, "anna", "verify")
            if caplog.records:
                break
    assert len(caplog.records) == 1


def test_a_watcher_that_does_not_read_loses_the_oldest() -> None:
    async def watched() -> list[int]:
        log = Audit()
        with log.watch() as happenings:
            for number in range(100):
                log.tell(MonitorEvent.removed, PEER, str(number))
            await asyncio.sleep(0)
            return [int((happenings.get_nowait()).user or "") for _ in range(happenings.qsize())]

    assert asyncio.run(watched()) == list(range(36, 100))
