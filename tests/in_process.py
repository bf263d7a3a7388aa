# SPDX-License-Identifier: Apache-2.0
"""The agent's real parts and its real server in this process, before a camera that shows what it is told.

What is played: the camera, the networks behind it (a frame names the look that it gives), the time that attempts and
lockouts go by, and the cost of a guess. All else is the product's.
"""

from __future__ import annotations

import pwd
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest import mock

import numpy as np

from facelatch import parameters
from facelatch.camera import Frame
from facelatch.config import Config, EnrollConfig, PolicyConfig, VerifyConfig
from facelatch.daemon import worker as worker_module
from facelatch.daemon.agent import Agent
from facelatch.daemon.audit import Audit
from facelatch.daemon.policy import Policy
from facelatch.daemon.roster import Roster
from facelatch.daemon.service import AgentService
from facelatch.daemon.signals import LitCamera, Signals
from facelatch.daemon.status_service import StatusService
from facelatch.daemon.worker import Worker
from facelatch.errors import CameraError, CameraFault
from facelatch.face.path import FacePath, Look
from facelatch.hardware.indicator import DARK, Pattern
from facelatch.ipc.limits import Limits
from facelatch.ipc.peer import Peer
from facelatch.ipc.server import Server
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.keys import Argon2idCost
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import Lockout
from facelatch.vault.secrets import Secrets
from facelatch.vault.store import Store
from tests.agent import NOBODY

CHEAP = replace(parameters.read("standard"), argon2id=Argon2idCost(passes=1, memory_kib=8))
"""The shipped parameter set, but for the cost of a guess."""

KEY = HostFileKey(bytes(range(32)))
ROOT = Peer(pid=1, uid=0, gid=0, groups=frozenset({0}))
STRANGER = Peer(pid=2, uid=4_000_000_000, gid=4_000_000_000, groups=frozenset({4_000_000_000}))
"""A user that no system has."""

STEWARD = Peer(pid=3, uid=NOBODY, gid=NOBODY, groups=frozenset({NOBODY}))
"""An administrator: may do all that root may, but does not come first."""

UNHURRIED = Limits(turns_per_second=1e9)
"""Whoever runs the tests is no user that has to be slowed down; root never is."""

UNPLUGGED = CameraError(CameraFault.UNPLUGGED, "the camera is unplugged", "plug it in")

FRAME_SECONDS = 0.1
"""Time that passes with each frame."""


class VirtualClock:
    """A clock that stands until it is told."""

    def __init__(self, boot: str = "first", now: float = 100.0) -> None:
        self._boot, self.time = boot, now

    def boot(self) -> str:
        return self._boot

    def now(self) -> float:
        return self.time


class Light:
    """An indicator that remembers."""

    name = "light"

    def __init__(self) -> None:
        self.shown = DARK

    def show(self, pattern: Pattern) -> None:
        self.shown = pattern


class ScriptedCamera:
    """Gives the frames that it is handed, one for each that is asked for, and notes what must never be.

    Args:
        clock: goes on by ``FRAME_SECONDS`` with each frame.
        light: must be lit whenever a frame is taken.
    """

    name = "scripted"
    live = False

    def __init__(self, clock: VirtualClock, light: Light) -> None:
        self.is_open = False
        self.asked = threading.Event()
        self.unplugged = False
        self.wrongs: list[str] = []
        self._clock = clock
        self._light = light
        self._frames: queue.SimpleQueue[int | CameraError] = queue.SimpleQueue()

    def check(self) -> None:
        if self.unplugged:
            raise UNPLUGGED

    def open(self) -> None:
        if self.is_open:
            self.wrongs.append("opened while it was open")
        self.check()
        self.is_open = True

    def read(self) -> Frame:
        self.asked.set()
        given = self._frames.get()
        if self._light.shown == DARK:
            self.wrongs.append("a frame was taken in the dark")
        if isinstance(given, CameraError):
            raise given
        self._clock.time += FRAME_SECONDS
        return Frame(np.full((1, 1, 3), given, dtype=np.uint8), 0, self._clock.time)

    def close(self) -> None:
        self.is_open = False

    def give(self, frame: int | CameraError) -> None:
        """Hand over the frame that is waited for, or the reason why there is none."""
        self.asked.clear()
        self._frames.put(frame)


class NamedLooks:
    """Stands where the networks do: a frame's pixels are the number of the look that it gives."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._looks = looks

    def look(self, image: np.ndarray) -> Look:
        return self._looks[int(image[0, 0, 0])]


class House:
    """One agent, its camera and its light.

    Args:
        directory: of its state; its lock is held until ``close``.
        looks: what frames show, by number; at most 256.
        clock: of attempts and lockouts.
        extractor: of the parameter set.
    """

    def __init__(self, directory: Path, looks: Sequence[Look], clock: VirtualClock, extractor: Extractor) -> None:
        self.light = Light()
        self.camera = ScriptedCamera(clock, self.light)
        self._store = Store(directory / "records")
        config = Config(
            state=directory / "records",
            runtime=directory,
            enroll=EnrollConfig(frames=6, seconds=0.001),
            verify=VerifyConfig(no_match_after=0),
            audiences={"door": []},
            policy=PolicyConfig(administrators=[pwd.getpwuid(NOBODY).pw_name]),
        )
        ring = KeyRing(KEY)
        signals = Signals(self.light, config.enroll.frames)
        self.agent = Agent(
            config=config,
            policy=Policy(config),
            ring=ring,
            extractor=extractor,
            roster=Roster(self._store, ring, extractor),
            secrets=Secrets(config.state / "secrets", KEY),
            lockout=Lockout(config.state / "lockout", ring, clock),
            worker=Worker(LitCamera(self.camera, signals), cast(FacePath, NamedLooks(looks))),
            audit=Audit(),
            live_camera=False,
            signals=signals,
            strike=None,
            button=None,
        )

    def server(self, peer: Peer = ROOT, watcher: Peer = ROOT) -> Server:
        """Make its server, which takes everyone for ``peer``, and for ``watcher`` where they ask for the status."""
        return Server(lambda _: [AgentService(self.agent, peer), StatusService(self.agent, watcher)], UNHURRIED)

    def close(self) -> None:
        """End its thread and let go of its directory."""
        self.agent.worker.close()
        self.agent.signals.dark()
        self._store.close()


@contextmanager
def going_by(clock: VirtualClock) -> Iterator[None]:
    """Have attempts measure their time by a virtual clock."""
    with mock.patch.object(worker_module, "time", SimpleNamespace(monotonic=clock.now)):
        yield
