# SPDX-License-Identifier: Apache-2.0
"""The watchdog is fed by what works, and by nothing else."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from facelatch.camera import Camera
from facelatch.daemon import service_manager
from facelatch.daemon.service_manager import give_signs_of_life, inherited_sockets, notify, watchdog_seconds
from facelatch.daemon.worker import Session, StoppedError, Worker
from facelatch.errors import CameraError, CameraFault, CameraStuckError
from facelatch.face.path import FacePath
from tests.agent import eventually, scenario

# So short that many signs are due in no time; nothing here depends on how fast they come.
_LIMIT = 0.004
_PERIODS = 50


@pytest.fixture
def signs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(service_manager, "notify", told.append)
    return told


def _worker() -> Worker:
    """One whose jobs here never look."""
    return Worker(cast(Camera, None), cast(FacePath, None))


def test_an_idle_agent_gives_signs_for_as_long_as_its_loop_turns(signs: list[str]) -> None:
    async def steps() -> None:
        feeding = asyncio.get_running_loop().create_task(give_signs_of_life(_worker(), _LIMIT))
        await eventually(lambda: len(signs) > 5)
        feeding.cancel()

    scenario(steps())
    assert set(signs) == {"WATCHDOG=1"}


@pytest.mark.parametrize("stuck", [False, True])
def test_a_busy_agent_gives_signs_only_while_its_worker_comes_further(signs: list[str], stuck: bool) -> None:
    begun, released = threading.Event(), threading.Event()

    def job(session: Session[str]) -> str:
        session.report("begun")
        begun.set()
        if stuck:
            released.wait()
            return "done"
        while True:
            session.check()

    async def steps() -> None:
        worker = _worker()
        feeding = asyncio.get_running_loop().create_task(give_signs_of_life(worker, _LIMIT))
        replies = worker.run(job, 600.0, 0)
        assert await anext(replies) == "begun"
        before = len(signs)
        if stuck:
            for _ in range(_PERIODS):
                await asyncio.sleep(_LIMIT)
            assert len(signs) <= before + 1  # the one for having begun
            released.set()
        else:
            await eventually(lambda: len(signs) > before + 5)
        feeding.cancel()
        worker.cancel(None)
        try:
            assert await anext(replies) == "done"
        except StoppedError:
            assert not stuck
        await replies.aclose()
        worker.close()

    scenario(steps())


def test_an_agent_whose_camera_driver_hangs_gives_no_signs(signs: list[str]) -> None:
    async def steps() -> None:
        worker = _worker()
        feeding = asyncio.get_running_loop().create_task(give_signs_of_life(worker, _LIMIT))
        await eventually(lambda: len(signs) > 5)
        worker.camera_fault = CameraStuckError(CameraFault.FROZEN, "the driver hangs", "unplug it")
        before = len(signs)
        for _ in range(_PERIODS):
            await asyncio.sleep(_LIMIT)
        assert len(signs) == before
        # Any other fault may pass by itself, and a frame has this one forgotten.
        for fault in (CameraError(CameraFault.FROZEN, "no frames", "wait"), None):
            worker.camera_fault, before = fault, len(signs)
            await eventually(lambda: len(signs) > before + 5)  # noqa: B023 - awaited before it changes
        feeding.cancel()
        worker.close()

    scenario(steps())


def test_without_systemd_nothing_is_said_taken_or_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    notify("READY=1")
    assert watchdog_seconds() is None
    assert inherited_sockets({}) == {}


def test_what_is_meant_for_another_process_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
    assert inherited_sockets(environment) == {}
    assert environment == {}  # and no child takes it either
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None
    monkeypatch.delenv("WATCHDOG_PID")
    assert watchdog_seconds() == 1.0
