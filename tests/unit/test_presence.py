# SPDX-License-Identifier: Apache-2.0
"""Who is taken to wait before the door, and that a watch gives way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from facelatch.camera import Camera
from facelatch.daemon.presence import waits
from facelatch.daemon.worker import BusyError, Session, StoppedError, Worker
from facelatch.face.path import FacePath, Look
from facelatch.face.quality import Hint
from tests.agent import scenario

FACE = Look(embedding=np.zeros(4, dtype=np.float32))
NOBODY = Look(hint=Hint.NO_FACE)


class Scene:
    """What a job sees of the world: half a second passes from look to look."""

    def __init__(self, told: str) -> None:
        self.elapsed = 0.0
        self._told = told

    def looks(self) -> Iterator[Look]:
        for look in self._told:
            yield FACE if look == "x" else NOBODY
            self.elapsed += 0.5

    def pause(self, _: float) -> None:
        pass


def taken(told: str, *, empty_first: bool = False) -> bool:
    return waits(cast(Session[bool], Scene(told)), 2.0, empty_first=empty_first)


@pytest.mark.parametrize(
    ("told", "expected"),
    [("xxxxx", True), ("..xxxxx", True), ("xxxx", False), ("xxx.xxxx", False), ("xxx.xxxxx", True), ("." * 20, False)],
    ids=["stays", "comes and stays", "goes too soon", "looks away", "looks back for long enough", "nobody"],
)
def test_whoever_stays_in_view_waits(told: str, expected: bool) -> None:
    assert taken(told) is expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [("x" * 40, False), ("xx....xxxxxx", False), ("xx.....xxxxx", True), ("..x.....xxxxx", True), ("." * 20, False)],
    ids=["never left", "away too shortly", "left and came back", "nobody for long enough", "left for good"],
)
def test_after_an_attempt_the_place_has_to_be_empty_first(told: str, expected: bool) -> None:
    assert taken(told, empty_first=True) is expected


def test_a_watch_gives_way_to_a_request_and_to_no_other_watch() -> None:
    begun = threading.Event()

    def watching(session: Session[str]) -> str:
        begun.set()
        while True:
            session.pause(60)
            session.check()

    async def steps() -> None:
        worker = Worker(cast(Camera, None), cast(FacePath, None))
        watch = worker.run(watching, 600, 1, gives_way=True)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.to_thread(begun.wait)
        with pytest.raises(BusyError):
            await anext(worker.run(lambda _: "second watch", 600, 1, gives_way=True))
        assert await anext(worker.run(lambda _: "request", 10, 2)) == "request"
        with pytest.raises(StoppedError):
            await waiting
        worker.close()

    scenario(steps())


def test_a_request_gives_way_to_nothing() -> None:
    begun, released = threading.Event(), threading.Event()

    def work(_: Session[str]) -> str:
        begun.set()
        released.wait()
        return "done"

    async def steps() -> None:
        worker = Worker(cast(Camera, None), cast(FacePath, None))
        first = asyncio.ensure_future(anext(worker.run(work, 10, 1)))
        await asyncio.to_thread(begun.wait)
        for gives_way in (False, True):
            with pytest.raises(BusyError):
                await anext(worker.run(lambda _: "other", 10, 2, gives_way=gives_way))
        released.set()
        assert await first == "done"
        worker.close()

    scenario(steps())
