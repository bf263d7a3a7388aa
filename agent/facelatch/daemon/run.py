# SPDX-License-Identifier: Apache-2.0
"""Builds the agent from its configuration, serves it on its two sockets, and ends it cleanly."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from facelatch.camera import Camera
from facelatch.config import Config
from facelatch.daemon.agent import Agent
from facelatch.daemon.audit import Audit
from facelatch.daemon.door import Door, ourselves
from facelatch.daemon.hardening import keep_memory_private, lock_memory
from facelatch.daemon.policy import Policy
from facelatch.daemon.presence import Presence
from facelatch.daemon.service import AgentService
from facelatch.daemon.service_manager import give_signs_of_life, inherited_sockets, notify, watchdog_seconds
from facelatch.daemon.signals import LitCamera, Signals
from facelatch.daemon.state import open_state
from facelatch.daemon.status_service import StatusService
from facelatch.daemon.strike import Strike
from facelatch.daemon.worker import Worker
from facelatch.errors import CameraError, CameraFault, ServiceManagerError, StorageError
from facelatch.hardware.factory import make_button, make_indicator, make_latch
from facelatch.ipc.limits import STATUS_LIMITS
from facelatch.ipc.listener import require_free
from facelatch.ipc.server import Server
from facelatch.l2fe.extractor import Extractor
from facelatch.shipped import configured_camera, face_path, parameter_set

AGENT_SOCKET = "agent.sock"
STATUS_SOCKET = "status.sock"
# Whoever started the agent by calling it is answered first.
_EXPAND_AFTER_S = 1.0

_log = logging.getLogger(__name__)


def run(config: Config, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is called once both sockets answer, and systemd is told.

    Sockets that systemd made are taken over; without them they are made in the configured directory.
    Everything is checked before anything is written, so a fault at start leaves the disk as it was.

    Raises:
        FacelatchError: the agent cannot start; the message names the thing and the remedy.
    """
    keep_memory_private()
    if not lock_memory():
        _log.warning("keys and looks may reach swap: encrypt it, or allow to lock memory (LimitMEMLOCK=infinity)")
    with ExitStack() as stack:
        sockets = inherited_sockets()
        if not sockets:
            _require_sockets_can_be_made(config.runtime)
        agent = build(config, stack)
        gc.freeze()  # what lives as long as the agent need not be gone through after each job
        asyncio.run(_serve(config, agent, sockets, ready))


def build(config: Config, stack: ExitStack) -> Agent:
    """Make the agent's parts; what must be closed at the end goes onto the stack.

    Raises:
        FacelatchError: the first part that cannot be made.
    """
    chosen = parameter_set(config.parameters)
    camera = configured_camera(config.camera)
    path = face_path(liveness=camera.live and config.liveness != "off")
    camera_fault = _camera_fault(camera)
    extractor = Extractor(chosen)
    state = open_state(config, extractor, stack)
    signals = Signals(make_indicator(config.indicator), config.enroll.frames)
    stack.callback(signals.dark)
    worker = Worker(LitCamera(camera, signals), path, camera_fault)
    stack.callback(worker.close)
    audit = Audit()
    latch = make_latch(config.latch)
    return Agent(
        config=config,
        policy=Policy(config),
        ring=state.ring,
        extractor=extractor,
        roster=state.roster,
        secrets=state.secrets,
        lockout=state.lockout,
        worker=worker,
        audit=audit,
        live_camera=camera.live,
        signals=signals,
        strike=None if latch is None else Strike(latch, config.latch, config.state, audit),
        button=make_button(config.button),
    )


async def _serve(config: Config, agent: Agent, sockets: Mapping[str, socket.socket], ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent_server = Server(lambda peer: [AgentService(agent, peer)])
    status_server = Server(lambda peer: [StatusService(agent, peer)], STATUS_LIMITS)
    tasks: list[asyncio.Task[None]] = []
    if agent.button is not None:
        tasks.append(loop.create_task(Door(agent, agent.button).watch()))
    if config.presence.seconds:
        tasks.append(loop.create_task(Presence(agent).watch()))
    try:
        _listen(agent_server, config.runtime / AGENT_SOCKET, sockets)
        _listen(status_server, config.runtime / STATUS_SOCKET, sockets)
        _log.info("ready: %d users, camera %s", len(agent.roster), config.camera.source)
        notify("READY=1")
        ready()
        # It ends with the process, whenever that is.
        expand = threading.Thread(target=agent.roster.expand, name="facelatch-expand", daemon=True)
        loop.call_later(_EXPAND_AFTER_S, expand.start)
        if limit := watchdog_seconds():
            tasks.append(loop.create_task(give_signs_of_life(agent.worker, limit)))
        await stop.wait()
        _log.info("stopping")
    finally:
        notify("STOPPING=1")
        for task in tasks:
            task.cancel()
        agent.worker.cancel(None)
        await agent_server.close()
        await status_server.close()
        if agent.strike is not None:
            await agent.strike.close(ourselves())


def _camera_fault(camera: Camera) -> CameraError | None:
    """Check the camera; return a fault that may pass by itself, since all but looking works without a camera.

    Raises:
        CameraError: a fault that is for whoever set the agent up.
    """
    try:
        camera.check()
    except CameraError as error:
        if error.fault in (CameraFault.MISCONFIGURED, CameraFault.NO_PERMISSION):
            raise
        _log.warning("%s", error)
        return error
    return None


def _listen(server: Server, path: Path, sockets: Mapping[str, socket.socket]) -> None:
    """Serve on the socket that systemd made under this name, or make one.

    Raises:
        ServiceManagerError: systemd made others, but not this one.
    """
    if not sockets:
        server.listen(path)
        return
    try:
        server.serve(sockets[path.name])
    except (KeyError, ValueError) as error:
        raise ServiceManagerError(
            f"systemd hands over no listening Unix stream socket named {path.name!r}",
            "enable both of the package's socket units",
        ) from error


def _require_sockets_can_be_made(runtime: Path) -> None:
    if not runtime.is_dir():
        raise StorageError(
            f"there is no directory {runtime} for the sockets", "create it, or set runtime in the config"
        )
    for name in (AGENT_SOCKET, STATUS_SOCKET):
        require_free(runtime / name)
