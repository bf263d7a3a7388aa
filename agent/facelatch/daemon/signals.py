# SPDX-License-Identifier: Apache-2.0
"""What the person at the camera sees: the indicator is never dark while the camera looks, whoever asked it to."""

from __future__ import annotations

import logging
import threading
from typing import Final

from facelatch.camera import Camera, CameraWrapper
from facelatch.daemon.attempts import Broken, Looked, OtherPose, Retry
from facelatch.daemon.liveness import Turn
from facelatch.errors import IndicatorError
from facelatch.hardware.indicator import (
    DARK,
    DONE,
    LOCKED_OUT,
    LOOK_AGAIN,
    LOOKING,
    REFUSED,
    TURN_HEAD,
    Indicator,
    Pattern,
    stage,
)
from facelatch.ipc.words import MonitorEvent

_log = logging.getLogger(__name__)

# Two flashes of the slowest pattern.
RESULT_SECONDS = 4.0

RESULTS: Final = {
    MonitorEvent.verify_match: DONE,
    MonitorEvent.verify_no_match: REFUSED,
    MonitorEvent.verify_spoof: REFUSED,
    MonitorEvent.verify_timeout: REFUSED,
    MonitorEvent.camera_fault: REFUSED,
    MonitorEvent.locked_out: LOCKED_OUT,
    MonitorEvent.enrolled: DONE,
}
"""How an event ends what the indicator showed; others do not concern it."""


class Signals:
    """Chooses what the indicator shows. Safe to use from several threads.

    A fault of the indicator stops nothing but is told once, and stays in ``fault`` until it works again.

    Args:
        indicator: the light.
        frames: how many looks an enrolment takes.
    """

    def __init__(self, indicator: Indicator, frames: int) -> None:
        self.indicator = indicator
        self.fault: IndicatorError | None = None
        self._frames = frames
        self._lock = threading.Lock()
        self._looking = False
        self._shown: Pattern | None = None
        self._ending: threading.Timer | None = None
        self.dark()

    def camera(self, *, on: bool) -> None:
        """Note that the camera looks, or has stopped to."""
        with self._lock:
            self._looking = on
            self._show(LOOKING if on else DARK)

    def progress(self, report: object) -> None:
        """Show how a look went, while there are looks; other reports are not progress."""
        pattern = self._pattern(report)
        with self._lock:
            # Reports come through a queue: the camera may have stopped since.
            if pattern is not None and self._looking:
                self._show(pattern)

    def event(self, event: MonitorEvent) -> None:
        """Show how something ended, if it is for whoever stands there."""
        if event in RESULTS:
            self.result(RESULTS[event])

    def result(self, pattern: Pattern) -> None:
        """Show a pattern for a while, unless the camera looks for somebody else."""
        with self._lock:
            if self._looking:
                return
            self._show(pattern)
            self._ending = threading.Timer(RESULT_SECONDS, self._end)
            self._ending.daemon = True
            self._ending.start()

    def hint(self, pattern: Pattern) -> None:
        """Show a pattern until something else happens, unless the camera looks."""
        with self._lock:
            if not self._looking:
                self._show(pattern)

    def dark(self) -> None:
        """Show nothing, unless the camera looks."""
        self.hint(DARK)

    def _end(self) -> None:
        with self._lock:
            # Another result, or a look, may have come while this waited for its turn.
            if self._ending is threading.current_thread():
                self._show(DARK)

    def _pattern(self, report: object) -> Pattern | None:
        match report:
            case Looked(remaining=None):
                return LOOKING
            case Looked(remaining=int(remaining)):
                return stage(self._frames - remaining, self._frames)
            case Retry() | Broken():
                return LOOK_AGAIN
            case OtherPose() | Turn():
                return TURN_HEAD
            case _:
                return None

    def _show(self, pattern: Pattern) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if pattern == self._shown and self.fault is None:
            return
        try:
            self.indicator.show(pattern)
            self.fault = None
        except IndicatorError as error:
            if self.fault is None:
                _log.warning("%s", error)
            self.fault = error
        self._shown = pattern


class LitCamera(CameraWrapper):
    """A camera that lights the indicator for as long as it is open; a check, which looks at nothing, does not.

    Args:
        camera: the camera.
        signals: is told before it opens and after it has closed.
    """

    def __init__(self, camera: Camera, signals: Signals) -> None:
        super().__init__(camera)
        self._signals = signals

    def open(self) -> None:
        """Light up, then open the camera.

        Raises:
            CameraError: it cannot be opened, and it is dark again.
        """
        self._signals.camera(on=True)
        try:
            super().open()
        except BaseException:
            self._signals.camera(on=False)
            raise

    def close(self) -> None:
        """Close the camera, then go dark."""
        try:
            super().close()
        finally:
            self._signals.camera(on=False)
