# SPDX-License-Identifier: Apache-2.0
"""A camera around a camera, for what is to happen besides."""

from __future__ import annotations

from facelatch.camera.protocol import Camera, Frame


class CameraWrapper:
    """A camera that does as the one it wraps; who extends it says what differs.

    Args:
        camera: the camera it wraps.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    @property
    def name(self) -> str:
        """The wrapped camera's name."""
        return self._camera.name

    @property
    def live(self) -> bool:
        """Whether the wrapped camera shows the present."""
        return self._camera.live

    def check(self) -> None:
        """As the wrapped camera."""
        self._camera.check()

    def open(self) -> None:
        """As the wrapped camera."""
        self._camera.open()

    def read(self) -> Frame:
        """As the wrapped camera."""
        return self._camera.read()

    def close(self) -> None:
        """As the wrapped camera."""
        self._camera.close()
