# SPDX-License-Identifier: Apache-2.0
"""A record, a key or a directory that cannot be used stops the start, is named with the remedy, and is left alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import seal, unseal
from tests.agent import Agent
from tests.refusal import refusal

Spoil = Callable[[Agent], object]


def _rewrite(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(agent: Agent) -> None:
        (path,) = agent.state.glob("*.rec")
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _cut(size: int) -> Spoil:
    return _rewrite(lambda data: data[:size])


def _flip(position: int) -> Spoil:
    def change(data: bytes) -> bytes:
        altered = bytearray(data)
        altered[position] ^= 1
        return bytes(altered)

    return _rewrite(change)


def _reseal(**header: object) -> Spoil:
    """Alter a record's header as only the device's key can; under a new id that makes a second record."""

    def spoil(agent: Agent) -> None:
        (path,) = agent.state.glob("*.rec")
        key = HostFileKey.load(agent.key)
        record = unseal(path.read_bytes(), key, path.stem)
        altered = replace(record, header=replace(record.header, **header))  # type: ignore[arg-type]
        path.with_name(f"{altered.header.record_id.hex()}.rec").write_bytes(seal(altered, key))

    return spoil


def _rename(name: str) -> Spoil:
    def spoil(agent: Agent) -> None:
        (path,) = agent.state.glob("*.rec")
        path.rename(path.with_name(name))

    return spoil


def _link(agent: Agent) -> None:
    (path,) = agent.state.glob("*.rec")
    path.rename(agent.root / "elsewhere")
    path.symlink_to(agent.root / "elsewhere")


def _new_key(agent: Agent) -> None:
    agent.key.unlink()
    HostFileKey.create(agent.key)


_ENROL_AGAIN = "remove its file and enrol again"
_OTHER_ID = "0" * 32 + ".rec"

RECORDS: dict[str, tuple[Spoil, str, str]] = {
    "empty": (_cut(0), "is truncated", _ENROL_AGAIN),
    "cut in the middle": (_cut(200), "is truncated or altered", _ENROL_AGAIN),
    "cut at the end": (_cut(-1), "is truncated or altered", _ENROL_AGAIN),
    "version altered": (_flip(3), "has format 0, this version reads 1", "update facelatch"),
    "content altered": (_flip(100), "is truncated or altered", _ENROL_AGAIN),
    "of another parameter set": (_reseal(parameter_set=bytes(32)), "another parameter set", _ENROL_AGAIN),
    "of another device": (_new_key, "belongs to another device key", "restore that key"),
    "twice for one user": (_reseal(record_id=bytes(16)), "a second one of the same user", "remove the older file"),
    "under another id": (_rename(_OTHER_ID), "holds another record", _ENROL_AGAIN),
    "under a name": (_rename("anna.rec"), "is not named like a record", "remove it, or restore its name"),
    "a link": (_link, "is a symbolic link", "put the file itself there"),
}


@pytest.mark.parametrize("fault", RECORDS)
def test_a_record_that_cannot_be_used(agent_with_anna: Agent, fault: str) -> None:
    spoil, problem, remedy = RECORDS[fault]
    agent_with_anna.write_config()
    spoil(agent_with_anna)
    said = refusal(agent_with_anna)
    assert any(path.stem in said for path in agent_with_anna.state.glob("*.rec"))
    assert problem in said
    assert f": {remedy}" in said


def _make_open(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)


PLACES: dict[str, tuple[Spoil, str, str]] = {
    "open records": (lambda a: a.state.chmod(0o750), "records is open to others (mode 0750)", "run `chmod go= "),
    "open key": (lambda a: a.key.chmod(0o644), "device.key is open to others (mode 0644)", "run `chmod go= "),
    "key of zeros": (lambda a: a.key.write_bytes(bytes(32)), "device.key is damaged", "restore it from a backup"),
    "short key": (lambda a: a.key.write_bytes(b"x" * 31), "device.key is damaged", "restore it from a backup"),
    "no key": (lambda a: a.key.unlink(), "device.key does not exist", "restore it from a backup"),
    "no place for sockets": (lambda a: a.runtime.rmdir(), "there is no directory", "create it, or set runtime"),
    "a file for a socket": (lambda a: (a.runtime / "agent.sock").touch(), "agent.sock is not a socket", "move it away"),
}


@pytest.mark.parametrize("fault", PLACES)
def test_a_place_that_cannot_be_used(agent_with_anna: Agent, fault: str) -> None:
    spoil, problem, remedy = PLACES[fault]
    agent_with_anna.write_config()
    spoil(agent_with_anna)
    said = refusal(agent_with_anna)
    assert str(agent_with_anna.root) in said
    assert problem in said
    assert f": {remedy}" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_or_a_directory_of_another_user(agent_with_anna: Agent) -> None:
    agent_with_anna.write_config()
    for path in (agent_with_anna.state, agent_with_anna.key):
        os.chown(path, 1, 1)
        said = refusal(agent_with_anna)
        assert f"{path} belongs to uid 1, not to the agent (uid 0): run `chown 0 {path}`" in said
        os.chown(path, 0, 0)


FIRST_STARTS: dict[str, tuple[Spoil, str]] = {
    "open records": (lambda a: _make_open(a.state), "is open to others"),
    "no place for records": (
        lambda a: a.settings.update(state=str(a.root / "gone" / "records")),
        "gone does not exist",
    ),
    "a file for a socket": (lambda a: (a.runtime / "agent.sock").touch(), "is not a socket"),
}


@pytest.mark.parametrize("fault", FIRST_STARTS)
def test_a_first_start_that_fails_makes_neither_a_key_nor_a_directory(idle_agent: Agent, fault: str) -> None:
    spoil, problem = FIRST_STARTS[fault]
    spoil(idle_agent)
    idle_agent.write_config()
    assert problem in refusal(idle_agent)


def test_a_second_socket_that_cannot_be_made_takes_the_first_away_again(agent_with_anna: Agent) -> None:
    (agent_with_anna.runtime / "status.sock").mkdir()
    agent_with_anna.write_config()
    result = agent_with_anna.run()
    assert result.returncode == 2
    assert "status.sock is not a socket: move it away" in result.stderr
    assert agent_with_anna.sockets == ["status.sock"]


def test_a_path_too_long_for_a_socket(agent_with_anna: Agent) -> None:
    folder = agent_with_anna.root / ("x" * 100)
    folder.mkdir()
    agent_with_anna.settings["runtime"] = str(folder)
    agent_with_anna.write_config()
    assert f"no socket can be made at {folder / 'agent.sock'}" in refusal(agent_with_anna)
