# SPDX-License-Identifier: Apache-2.0
"""The agent with a camera that shows the present, as far as it can tell; takes the command line of ``facelatch``.

The pictures come from the replay's folder at the rate of a camera, each with noise of its own, and the folder may be
exchanged while the camera is open: for a test, that is the world before it. With FACELATCH_TEST_FROZEN set there is no
noise.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from facelatch.camera.protocol import Frame
from facelatch.camera.replay import ReplayCamera
from facelatch.cli import main

_NOISE = 2
_FREEZE = "FACELATCH_TEST_FROZEN"


class LiveCamera(ReplayCamera):
    """A replay that follows its link."""

    live = True

    def open(self) -> None:
        """Look where the path leads, and remember it."""
        self._shows = self._target()
        super().open()

    def read(self) -> Frame:
        """Give the next picture of whatever is there now."""
        if self._target() != self._shows:
            self.open()
        frame = super().read()
        if _FREEZE in os.environ:
            return frame
        noise = np.random.default_rng().integers(-_NOISE, _NOISE + 1, frame.image.shape)
        return replace(frame, image=np.clip(frame.image + noise, 0, 255).astype(np.uint8))

    def _target(self) -> Path:
        return self._path.resolve()


if __name__ == "__main__":
    # The camera's factory looks its back ends up in their modules.
    import facelatch.camera.replay

    facelatch.camera.replay.ReplayCamera = LiveCamera  # type: ignore[misc]
    main()
