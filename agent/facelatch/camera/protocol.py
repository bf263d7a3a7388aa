# SPDX-License-Identifier: Apache-2.0
"""What every camera back end looks like to the rest of the agent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture: shape (height, width, 3), uint8, RGB."""


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture and when it was taken.

    Attributes:
        image: (height, width, 3) uint8, RGB. Left out of ``repr`` so that no log line can hold pixels.
        sequence: number of the frame since ``open()``, from 0.
        time: monotonic seconds.
    """

    image: Image = field(repr=False)
    sequence: int
    time: float


class Camera(Protocol):
    """A source of frames that is opened on demand and released at once.

    One thread at a time may use it. After a ``CameraError`` from ``read()`` the only call that makes sense is
    ``close()``; a later ``open()`` starts afresh.
    """

    @property
    def name(self) -> str:
        """What a person would call it, for messages."""

    @property
    def live(self) -> bool:
        """Whether frames show the present. Liveness of a face can be judged only if they do."""

    def check(self) -> None:
        """Tell whether the camera could be opened, without taking it from another program.

        Raises:
            CameraError: it could not; the fault, the problem and the remedy say why.
        """

    def open(self) -> None:
        """Take the camera; nothing is left taken if this fails.

        Raises:
            CameraError: it is missing, busy, forbidden, or not what the configuration says.
        """

    def read(self) -> Frame:
        """Return the next frame, waiting for it a bounded time.

        Raises:
            CameraError: no usable frame came.
        """

    def close(self) -> None:
        """Release the camera. Closing one that is not open does nothing."""


@contextmanager
def opened(camera: Camera) -> Iterator[Camera]:
    """Open a camera for the length of a ``with`` block.

    Raises:
        CameraError: as ``camera.open()``.
    """
    camera.open()
    try:
        yield camera
    finally:
        camera.close()
