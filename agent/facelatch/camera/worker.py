# SPDX-License-Identifier: Apache-2.0
"""A thread for calls that may block for as long as a driver likes, so that the caller need not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

_T = TypeVar("_T")


class Worker:
    """Runs jobs one after another on a thread of its own.

    The executors of the standard library are no use here: they wait for a stuck job when the program ends.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def submit(self, job: Callable[[], _T]) -> Future[_T]:
        """Queue a job; its result or exception is in the future returned."""
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except Exception as error:  # raised again where the result is asked for
                future.set_exception(error)

        self._jobs.put(run)
        return future

    def finish(self, job: Callable[[], _T]) -> Future[_T]:
        """Queue the last job; the thread ends after it."""
        future = self.submit(job)
        self._jobs.put(None)
        return future
