# SPDX-License-Identifier: Apache-2.0
"""The one thread that owns the camera and the networks, and how the event loop talks to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from facelatch.camera import Camera, opened
from facelatch.daemon.hardening import forget, overwrite_products
from facelatch.errors import CameraError
from facelatch.face.path import FacePath, Look

Report = TypeVar("Report")

# Long enough for the answer to have been given, and for whoever asked to have hung up.
_FORGET_S = 1.0


class DeadlineError(Exception):
    """The time given has passed."""


class StoppedError(Exception):
    """The caller has gone or asked to stop."""


class BusyError(Exception):
    """The camera works for somebody else."""


class Session(Generic[Report]):
    """What a job sees of the world: looks through the camera, a clock, and a way to tell how it goes.

    Attributes:
        elapsed: seconds since the camera was opened, as of the last look.
    """

    def __init__(self, worker: Worker, timeout: float, stop: threading.Event, report: Callable[[Report], None]) -> None:
        self.report = report
        self.elapsed = 0.0
        self._worker = worker
        self._timeout = timeout
        self._stop = stop

    def looks(self) -> Generator[Look]:
        """Open the camera and look, until the job has seen enough; the camera is released however it ends.

        Raises:
            DeadlineError, StoppedError: between two looks.
            CameraError: no usable frames come.
        """
        worker = self._worker
        try:
            with opened(worker.camera) as camera:
                start = time.monotonic()
                while True:
                    frame = camera.read()
                    worker.camera_fault = None
                    worker.steps += 1
                    self.elapsed = time.monotonic() - start
                    self.check()
                    yield worker.path.look(frame.image)
        except CameraError as error:
            worker.camera_fault = error
            raise

    def pause(self, seconds: float) -> None:
        """Wait, at most until the job should end."""
        self._stop.wait(seconds)

    def check(self, *, late: bool = False) -> None:
        """Raise if the job should end: for use before a costly step; ``late`` steps may be taken when time is up."""
        self._worker.steps += 1
        if self._stop.is_set():
            raise StoppedError
        if self.elapsed > self._timeout and not late:
            raise DeadlineError


@dataclass(frozen=True)
class _Running:
    """The job that runs.

    Attributes:
        future: done when it has ended, and the camera is released.
        stop: has it end soon.
        owner: user id for whom it runs.
        gives_way: whether it is stopped when another is to be run.
    """

    future: asyncio.Future[Any]
    stop: threading.Event
    owner: int
    gives_way: bool


class Worker:
    """Runs one job at a time off the event loop.

    Attributes:
        camera: opened for each job, never between.
        path: the face path; it is only ever used on the worker's thread.
        camera_fault: what was wrong when the camera was last asked for a frame; None if it gave one.
        steps: how far jobs have come, by frames read and costly steps begun: what the watchdog goes by.
    """

    def __init__(self, camera: Camera, path: FacePath, camera_fault: CameraError | None = None) -> None:
        self.camera = camera
        self.path = path
        self.camera_fault = camera_fault
        self.steps = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="facelatch-camera")
        # Of its own: peers are answered meanwhile, and no job that follows at once puts it off.
        self._sweeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="facelatch-forget")
        self._sweep: asyncio.TimerHandle | None = None
        self._ended_since = False
        self._running: _Running | None = None
        self._next: asyncio.Task[Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return self._running is not None

    @asynccontextmanager
    async def precedence(self, seconds: float) -> AsyncIterator[None]:
        """Be the next to run a job, from within the block: wait for the one that runs, but for so long at most.

        Meanwhile everybody else is refused, so that whoever asks again soonest does not come first. One may wait.
        """
        task = asyncio.current_task()
        try:
            if self._running is not None and not self._running.gives_way and self._next is None:
                self._next = task
                await asyncio.wait([self._running.future], timeout=seconds)
            yield
        finally:
            if self._next is task:
                self._next = None

    async def run(
        self, job: Callable[[Session[Report]], Report], timeout: float, owner: int, *, gives_way: bool = False
    ) -> AsyncGenerator[Report]:
        """Run a job for the user id ``owner``; yield what it reports as it comes, and last what it returns.

        One that ``gives_way`` is stopped when another is to be run.

        Closing the iterator stops the job and waits until the camera is released.

        Raises:
            BusyError: another job runs, or is next.
            Exception: whatever the job raises.
        """
        if self._next not in (None, asyncio.current_task()):
            raise BusyError
        if self._running is not None and self._running.gives_way and not gives_way:
            self._running.stop.set()
            await asyncio.wait([self._running.future])
        if self.busy:
            raise BusyError
        self._next = None
        loop = asyncio.get_running_loop()
        reports: asyncio.Queue[Report | None] = asyncio.Queue()
        stop = threading.Event()
        self.steps += 1

        def report(value: Report | None) -> None:
            loop.call_soon_threadsafe(reports.put_nowait, value)

        def work() -> Report:
            try:
                return job(Session(self, timeout, stop, report))
            finally:
                report(None)
                overwrite_products()  # here, where no other job multiplies; with presence there is always a next one

        running = loop.run_in_executor(self._thread, work)
        self._running = _Running(running, stop, owner, gives_way)
        running.add_done_callback(self._finished)
        try:
            while (value := await reports.get()) is not None:
                yield value
            yield await running
        finally:
            stop.set()
            # A look takes some ten milliseconds, a key stretch a few hundred: the thread is soon done.
            await asyncio.wait([running])

    def _finished(self, running: asyncio.Future[Report]) -> None:
        self._running = None
        if not running.cancelled():
            running.exception()  # whoever waited for it has it; asyncio need not warn when nobody did
        self._ended_since = True
        if self._sweep is None:
            self._forget_later()

    def _forget_later(self) -> None:
        self._ended_since = False
        self._sweep = asyncio.get_running_loop().call_later(_FORGET_S, self._forget)

    def _forget(self) -> None:
        """Overwrite what jobs left behind, now that whoever asked is gone: after each, but once a second at most."""
        self._sweep = None
        self._sweeper.submit(forget)
        # What was multiplied after the job, to join a look. One that runs would take another buffer because of this.
        if not self.busy:
            overwrite_products()
        if self._ended_since:
            self._forget_later()

    def cancel(self, owner: int | None) -> None:
        """Stop the job that runs, if any; with an owner, only if it is theirs."""
        if self._running is not None and owner in (None, self._running.owner):
            self._running.stop.set()

    def close(self) -> None:
        """Stop, and wait for the thread to end."""
        self.cancel(None)
        self._thread.shutdown(wait=True)
        if self._sweep is not None:
            self._sweep.cancel()
        self._sweeper.shutdown(wait=True)
