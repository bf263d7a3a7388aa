# SPDX-License-Identifier: Apache-2.0
"""The directory a demo plays in: pictures for the camera, the agent's configuration, and all that the agent writes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from facelatch.camera.protocol import Image
from facelatch.demo import room, session
from facelatch.demo.errors import DemoError
from facelatch.demo.stranger import stranger

AUDIENCE: Final = "front-door"
# What webcams deliver at this rate; the replay holds it, so that an enrolment takes the time it takes a person.
_FPS = 15.0
_ENROL_FRAMES = 24
_ENROL_SECONDS = 3.0
# sun_path in <sys/un.h> holds 108 bytes with its terminator.
_MAX_SOCKET_PATH = 107
_SHEET_COLUMNS = 4


class Scene(StrEnum):
    """What the camera may be pointed at; the value names its folder."""

    ENROLMENT = "enrolment"
    RETURN = "return"
    STRANGER = "stranger"
    ROOM = "room"


class Stage:
    """Everything the demo's agent reads and writes.

    Args:
        directory: private and empty, with a short path, since sockets are made below it.

    Raises:
        DemoError: the path is too long for a socket.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "facelatch.toml"
        self.log = directory / "agent.log"
        self.state = directory / "records"
        self.device_key = directory / "key" / "device.key"
        self.runtime = directory / "run"
        self.agent_socket = self.runtime / "agent.sock"
        self.status_socket = self.runtime / "status.sock"
        self._camera = directory / "camera"
        if len(os.fsencode(self.status_socket)) > _MAX_SOCKET_PATH:
            raise DemoError(f"{directory} is too long a path for a socket", "set TMPDIR to a shorter one")
        self.runtime.mkdir()
        self.device_key.parent.mkdir(mode=0o700)

    def folder(self, scene: Scene) -> Path:
        """Return where a scene's pictures lie."""
        return self.directory / "pictures" / scene

    def paint(self, portrait: Image) -> dict[Scene, list[Image]]:
        """Make every scene's pictures, and write them for the camera as JPEG, which is what webcams send."""
        scenes = {
            Scene.ENROLMENT: session.frames(portrait, 2 * _ENROL_FRAMES, seed=1),
            Scene.RETURN: session.frames(portrait, 8, seed=2),
            Scene.STRANGER: session.frames(stranger(portrait), 8, seed=3),
            Scene.ROOM: room.frames(4, seed=4),
        }
        for scene, pictures in scenes.items():
            self.folder(scene).mkdir(parents=True)
            for number, picture in enumerate(pictures):
                _write(self.folder(scene) / f"{number}.jpg", picture)
        return scenes

    def write_sheet(self, scenes: Mapping[Scene, list[Image]]) -> Path:
        """Write one picture with a row of each scene, for a person to look at."""
        sheet = np.vstack([np.hstack(pictures[:_SHEET_COLUMNS]) for pictures in scenes.values()])
        path = self.directory / "pictures.png"
        _write(path, np.ascontiguousarray(sheet[::2, ::2]))
        return path

    def show(self, scene: Scene) -> None:
        """Point the camera at a scene, from when it is next opened."""
        link = self.directory / "camera.new"
        link.symlink_to(self.folder(scene))
        link.replace(self._camera)

    def configure(self, login: str) -> None:
        """Write the agent's configuration; ``login`` manages it and may ask for signatures."""
        self.config.write_text(
            _toml(
                {
                    "": {"state": str(self.state), "runtime": str(self.runtime)},
                    "camera": {"backend": "replay", "source": str(self._camera), "fps": _FPS},
                    "device_key": {"path": str(self.device_key)},
                    "enroll": {"frames": _ENROL_FRAMES, "seconds": _ENROL_SECONDS},
                    "policy": {"administrators": [login]},
                    "audiences": {AUDIENCE: [login]},
                }
            )
        )


def _write(path: Path, picture: Image) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise DemoError(f"{path} cannot be written", "make room on that disk")


def _toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Write tables of strings, numbers and lists, which TOML spells as JSON does."""
    lines = []
    for table, values in tables.items():
        lines += [f"[{table}]"] if table else []
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
