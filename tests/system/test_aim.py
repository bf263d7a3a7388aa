# SPDX-License-Identifier: Apache-2.0
"""``facelatch aim`` says where the face is, and lets the camera go."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from facelatch.demo import portrait
from tests.agent import PROGRAM, Agent
from tests.pictures import Picture, save

Aim = Callable[[Picture], dict[str, Any]]


def _scene(left: int, light: float = 1.0) -> Picture:
    """A 640 x 480 wall with the portrait's face on it, its middle about 144 right of ``left``."""
    wall = np.full((480, 640, 3), 120, dtype=np.uint8)
    wall[90:378, left : left + 288] = portrait.read()[:288, 80:368]
    return np.asarray(wall * light, dtype=np.uint8)


@pytest.fixture
def aim(idle_agent: Agent, tmp_path: Path) -> Aim:
    def run(picture: Picture) -> dict[str, Any]:
        idle_agent.configure("camera", source=str(save(tmp_path / "scene", [picture])))
        idle_agent.write_config()
        (view,) = idle_agent.lines("aim", "--config", str(idle_agent.config), "--seconds", "0.3")
        assert isinstance(view, dict)
        return view

    return run


def test_a_face_on_the_left(aim: Aim) -> None:
    view = aim(_scene(0))
    assert view["face"]["across"] < -30
    assert view["good"]
    assert set(view) == {"face", "light", "good"}


def test_a_face_on_the_right(aim: Aim) -> None:
    assert aim(_scene(352))["face"]["across"] > 30


def test_a_face_too_far_away(aim: Aim) -> None:
    view = aim(np.asarray(cv2.resize(_scene(176), (256, 192), interpolation=cv2.INTER_AREA), np.uint8))
    assert 10 <= view["face"]["width"] <= 25
    assert view["hint"] == "verify_retry_too_far"


def test_a_face_in_the_dark(aim: Aim) -> None:
    view = aim(_scene(180, light=0.15))
    assert view["light"] <= 1
    assert view["hint"] == "verify_retry_too_dark"


def test_nobody(aim: Aim) -> None:
    view = aim(np.full((480, 640, 3), 120, dtype=np.uint8))
    assert "face" not in view
    assert view["hint"] == "verify_retry_no_face"


def test_a_camera_that_is_not_there(idle_agent: Agent) -> None:
    idle_agent.configure("camera", backend="v4l2", source="/dev/video-none")
    idle_agent.write_config()
    result = idle_agent.cli("aim", "--config", str(idle_agent.config))
    assert result.returncode == 2
    assert "facelatch: camera /dev/video-none is not there: plug it in" in result.stderr


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Let programs be interrupted: what runs in the background has SIGINT ignored, and passes that on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_ends_it_cleanly(idle_agent: Agent) -> None:
    idle_agent.write_config()
    with subprocess.Popen(  # noqa: S603 - this checkout's own program
        [*PROGRAM, "aim", "--config", str(idle_agent.config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("face ")
        program.send_signal(signal.SIGINT)
        _, complaints = program.communicate(timeout=30)
    assert program.returncode == 0
    assert "Traceback" not in complaints


def test_a_terminal_is_drawn_in_place(idle_agent: Agent) -> None:
    idle_agent.write_config()
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - this checkout's own program
        [*PROGRAM, "aim", "--config", str(idle_agent.config), "--seconds", "1"],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as program:
        os.close(theirs)
        drawn = b""
        try:
            while data := os.read(ours, 65536):
                drawn += data
        except OSError:  # how a terminal says that the other end is closed
            pass
        finally:
            os.close(ours)
    assert program.returncode == 0
    text = drawn.decode()
    assert "ooo" in text
    assert text.count("face ") > 1
    assert text.count("\x1b[21A") == text.count("face ") - 1
