# SPDX-License-Identifier: Apache-2.0
"""A camera whose driver may hang: every call to it is made on a thread of its own, and waited for only so long.

Whatever is wrong is told within the camera's patience, plus ``CLOSE_LIMIT_S`` to let go: by default three seconds
together, about as long as a person waits in front of a door. A camera that gives one frame a second is well inside.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import ClassVar, Protocol

from facelatch.camera.protocol import Frame, Image
from facelatch.camera.worker import Worker
from facelatch.errors import CameraError, CameraFault

PATIENCE_S = 2.5
"""Longest wait for a camera to start and give its first picture, and for every further one, unless configured
otherwise: USB cameras need up to two seconds after a suspend."""

CLOSE_LIMIT_S = 0.4
"""Longest wait for a camera to be released. A later release happens on its own as soon as the driver returns."""


class Stream(Protocol):
    """A camera that was started. Called on one thread, where it may block."""

    def read(self) -> Image:
        """Return the next picture.

        Raises:
            CameraError: there is none, and the reason is known.
            TimeoutError: there is none in time.
        """

    def release(self) -> None:
        """Stop, and let go of the device."""


class BoundedCamera(ABC):
    """What the back ends for real cameras have in common.

    Args:
        name: what a person would call it.
        patience: seconds to wait for a picture.
    """

    live = True
    revival: ClassVar[str]
    """What to do about a camera that hangs."""

    def __init__(self, name: str, patience: float) -> None:
        self._name = name
        self._patience = patience
        self._worker: Worker | None = None
        self._stream: Future[Stream]
        self._first: Frame | None = None
        self._released: Future[None] | None = None

    @abstractmethod
    def check(self) -> None:
        """As ``Camera``."""

    @abstractmethod
    def _start(self) -> Stream:
        """Start the camera; it is not called before an earlier stream is released. May block.

        Raises:
            CameraError: the camera is missing, busy, forbidden, or not what the configuration says.
        """

    @property
    def name(self) -> str:
        """What a person would call it."""
        return self._name

    def open(self) -> None:
        """Start capturing, and see that pictures come.

        Raises:
            CameraError: the camera is missing, busy, forbidden, misconfigured, or gives no picture.
        """
        self.close()
        deadline = time.monotonic() + self._patience
        # Without this a driver that still hangs from the last time would make us call ourselves another program.
        if self._released is not None and not wait([self._released], self._patience).done:
            raise self._frozen()
        self._worker = Worker(f"camera {self.name}")
        self._stream = self._worker.submit(self._start)
        self._sequence = 0
        try:
            self._first = self._next(self._worker, max(0.0, deadline - time.monotonic()))
        except BaseException:
            self.close()
            raise

    def read(self) -> Frame:
        """Return the next frame.

        Raises:
            CameraError: ``UNPLUGGED`` if the device went away (or was never opened), ``FROZEN`` if no frame came.
        """
        if self._worker is None:
            raise CameraError(CameraFault.UNPLUGGED, f"camera {self.name} is closed", "open it first")
        first, self._first = self._first, None
        return first or self._next(self._worker, self._patience)

    def _next(self, worker: Worker, limit: float) -> Frame:
        stream = self._stream
        try:
            image = worker.submit(lambda: stream.result().read()).result(limit)
        except TimeoutError as error:
            raise self._frozen() from error
        frame = Frame(image, self._sequence, time.monotonic())
        self._sequence += 1
        return frame

    def _frozen(self) -> CameraError:
        return CameraError(CameraFault.FROZEN, f"camera {self.name} delivers no frames", self.revival)

    def close(self) -> None:
        """Release the device; if its driver hangs, as soon as it returns."""
        if self._worker is None:
            return
        self._released = self._worker.finish(_release(self._stream))
        self._worker = self._first = None
        wait([self._released], CLOSE_LIMIT_S)


def _release(stream: Future[Stream]) -> Callable[[], None]:
    def release() -> None:
        if stream.exception() is None:
            stream.result().release()

    return release
