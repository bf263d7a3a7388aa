# SPDX-License-Identifier: Apache-2.0
"""What the light shows, and that it is never dark while the camera is open."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from facelatch.camera import Frame
from facelatch.daemon import signals
from facelatch.daemon.attempts import Broken, Looked, OtherPose, Retry
from facelatch.daemon.liveness import Turn
from facelatch.daemon.signals import RESULTS, LitCamera, Signals
from facelatch.errors import CameraError, CameraFault, IndicatorError
from facelatch.face.liveness import Side
from facelatch.face.quality import Hint
from facelatch.hardware import indicator, standin
from facelatch.hardware.indicator import (
    DARK,
    DONE,
    LOCKED_OUT,
    LOOK_AGAIN,
    LOOKING,
    REFUSED,
    RELEASE,
    TURN_HEAD,
    LedIndicator,
    Pattern,
    stage,
)

PATTERNS = (DARK, LOOKING, LOOK_AGAIN, TURN_HEAD, RELEASE, DONE, REFUSED, LOCKED_OUT)


class Light:
    """Remembers what it showed."""

    name = "light"

    def __init__(self) -> None:
        self.shown: list[Pattern] = []
        self.broken = False

    def show(self, pattern: Pattern) -> None:
        if self.broken:
            raise IndicatorError("it is broken", "mend it")
        self.shown.append(pattern)


class Shutter:
    """A camera that notes what the light shows as it is open."""

    name = "shutter"
    live = True

    def __init__(self, light: Light, fault: bool = False) -> None:
        self.light = light
        self.fault = fault

    def check(self) -> None:
        assert self.light.shown[-1] == DARK

    def open(self) -> None:
        assert self.light.shown[-1].lit
        if self.fault:
            raise CameraError(CameraFault.BUSY, "busy", "wait")

    def read(self) -> Frame:
        raise NotImplementedError

    def close(self) -> None:
        assert self.light.shown[-1].lit


def test_it_is_lit_before_the_camera_opens_and_until_it_has_closed() -> None:
    light = Light()
    camera = LitCamera(Shutter(light), Signals(light, 24))
    camera.check()
    camera.open()
    camera.close()
    assert light.shown == [DARK, LOOKING, DARK]


def test_a_camera_that_does_not_open_leaves_it_dark() -> None:
    light = Light()
    camera = LitCamera(Shutter(light, fault=True), Signals(light, 24))
    with pytest.raises(CameraError):
        camera.open()
    assert light.shown == [DARK, LOOKING, DARK]


def test_nothing_darkens_it_while_the_camera_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "RESULT_SECONDS", 0.01)
    light = Light()
    shown = Signals(light, 24)
    shown.result(REFUSED)
    timer = shown._ending
    assert timer is not None
    shown.camera(on=True)
    timer.join()
    shown.result(REFUSED)
    shown.dark()
    shown.hint(DARK)
    assert light.shown[-1] == LOOKING


def test_a_result_is_shown_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "RESULT_SECONDS", 0.01)
    light = Light()
    shown = Signals(light, 24)
    shown.result(DONE)
    assert light.shown == [DARK, DONE]
    assert shown._ending is not None
    shown._ending.join()
    assert light.shown == [DARK, DONE, DARK]


def test_reports_of_a_camera_that_has_closed_are_not_shown() -> None:
    light = Light()
    shown = Signals(light, 24)
    shown.progress(Looked())
    assert light.shown == [DARK]


def test_each_report_has_its_pattern() -> None:
    light = Light()
    shown = Signals(light, 24)
    shown.camera(on=True)
    for report in (Retry(Hint.TOO_DARK), Looked(), OtherPose(), Looked(remaining=18), Looked(remaining=0)):
        shown.progress(report)
    assert light.shown[2:] == [LOOK_AGAIN, LOOKING, TURN_HEAD, stage(6, 24), stage(24, 24)]
    for side in Side:  # what liveness asks for
        shown.progress(Broken())
        shown.progress(Turn(side))
    assert light.shown[7:] == [LOOK_AGAIN, TURN_HEAD] * len(Side)
    assert stage(6, 24) == Pattern(250, 750)


def test_a_broken_light_stops_nothing_and_is_told() -> None:
    light = Light()
    shown = Signals(light, 24)
    light.broken = True
    shown.camera(on=True)
    assert "it is broken" in str(shown.fault)
    light.broken = False
    shown.camera(on=False)
    assert shown.fault is None
    assert light.shown[-1] == DARK


def test_patterns_can_be_told_apart_and_do_not_flicker() -> None:
    assert len(set(PATTERNS)) == len(PATTERNS)
    stages = [stage(passed, of) for of in (6, 24, 200) for passed in range(of + 1)]
    for pattern in itertools.chain(PATTERNS, stages):
        assert pattern.lit + pattern.dark > 333  # milliseconds: at most three flashes a second
        assert pattern == DARK or pattern.lit > 0


@pytest.mark.parametrize("before", PATTERNS)
def test_the_kernel_never_sees_two_zeros(tmp_path: Path, before: Pattern, monkeypatch: pytest.MonkeyPatch) -> None:
    standin.make(tmp_path)
    led = tmp_path / "indicator"
    seen = []
    light = LedIndicator(str(led))
    light.show(before)
    write = light._led.write

    def watched(attribute: str, value: str) -> None:
        write(attribute, value)
        seen.append(tuple((led / name).read_text().strip() for name in ("delay_on", "delay_off")))

    monkeypatch.setattr(light._led, "write", watched)
    for after in PATTERNS:
        light.show(after)
        assert seen[-1] == (str(after.lit), str(after.dark))
        light.show(before)
    assert ("0", "0") not in seen


def test_a_missing_light_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndicatorError, match="it is not there"):
        LedIndicator(str(tmp_path / "none")).show(LOOKING)


def test_the_readme_tells_every_pattern() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    told = {Pattern(int(lit), int(dark)) for lit, dark in re.findall(r"\| *(\d+) ms lit, (\d+) ms dark *\|", text)}
    assert told == set(PATTERNS) - {DARK}
    assert indicator._STAGE_CYCLE_MS == 1000
    assert "lit for n/m of each second" in text
    assert set(RESULTS.values()) == {DONE, REFUSED, LOCKED_OUT}
