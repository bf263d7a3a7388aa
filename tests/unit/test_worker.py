# SPDX-License-Identifier: Apache-2.0
"""When the worker has forgotten what a job left behind; that it is gone then is for tests/system/test_forgetting.py."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from facelatch.camera import Camera
from facelatch.daemon import worker as worker_module
from facelatch.daemon.worker import Session, Worker
from facelatch.face.path import FacePath
from tests.agent import eventually, scenario


def test_products_are_overwritten_when_no_job_multiplies_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    released = threading.Event()
    monkeypatch.setattr(worker_module, "_FORGET_S", 0.0)
    monkeypatch.setattr(worker_module, "forget", lambda: done.append("freed"))
    monkeypatch.setattr(worker_module, "overwrite_products", lambda: done.append("overwritten"))

    def job(session: Session[str]) -> str:
        session.report("begun")
        released.wait()
        return "done"

    async def steps() -> None:
        worker = Worker(cast(Camera, None), cast(FacePath, None))
        replies = worker.run(job, 600.0, 0)
        assert await anext(replies) == "begun"
        worker._forget()  # the turn of the job before it
        await eventually(lambda: done == ["freed"])
        assert done == ["freed"]  # and nothing is multiplied beside the job
        released.set()
        assert await anext(replies) == "done"
        await replies.aclose()
        await eventually(lambda: len(done) > 3)
        worker.close()

    scenario(steps())
    assert sorted(done) == ["freed", "freed", "overwritten", "overwritten"]


def test_jobs_that_follow_at_once_are_forgotten_together_and_the_last_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[str] = []
    monkeypatch.setattr(worker_module, "_FORGET_S", 3600.0)
    monkeypatch.setattr(worker_module, "forget", lambda: swept.append("swept"))

    async def steps() -> None:
        worker = Worker(cast(Camera, None), cast(FacePath, None))
        first = None
        for _ in range(20):
            async for _ in worker.run(lambda _: "done", 600.0, 0):
                pass
            first = first or worker._sweep
            assert worker._sweep is first is not None
        again = []
        for _ in range(2):
            worker._forget()  # an hour has passed
            again.append(worker._sweep is not None)
        assert again == [True, False]  # the second time for the jobs that ended since the first
        worker.close()

    scenario(steps())
    assert swept == ["swept", "swept"]
