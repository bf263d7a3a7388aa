# SPDX-License-Identifier: Apache-2.0
"""The parts that the agent is built from: models, parameter set, camera."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from facelatch import models
from facelatch.camera.v4l2_probe import probe
from facelatch.config import Config
from facelatch.diagnosis.eyes import eyes_of
from facelatch.diagnosis.finding import AS_ROOT, Finding, State, failed
from facelatch.diagnosis.users import programs_using
from facelatch.errors import CameraError, CameraFault, FacelatchError
from facelatch.ipc.peer import Peer
from facelatch.shipped import configured_camera, parameter_set


def check_models() -> Iterator[Finding]:
    """Compare every model with its hash."""
    try:
        names = sorted(models.manifest().models)
    except FacelatchError as error:
        yield failed("models", error)
        return
    faults = []
    for name in names:
        try:
            models.read_model(name)
        except FacelatchError as error:
            faults.append(failed("models", error))
    yield from faults or [Finding("models", State.OK, f"{', '.join(names)} are those of the manifest")]


def check_parameters(chosen: Config) -> Finding:
    """See that the parameter set is one of ours, and fits the encoder."""
    name = "parameter set"
    try:
        found = parameter_set(chosen.parameters)
    except FacelatchError as error:
        return failed(name, error)
    return Finding(name, State.OK, f"{found.name!r} is the pinned one and fits the encoder")


def check_camera(chosen: Config, owner: int | None, agent: Peer | None = None) -> Finding:
    """See whether the camera could be opened by the agent, without taking it.

    Args:
        chosen: names the camera.
        owner: the agent's user, with whose eyes to look; None where what is forbidden to us may not be so to it.
        agent: the one that runs, which may use the camera.
    """
    config = chosen.camera
    try:
        camera = configured_camera(config)
        with eyes_of(owner):
            camera.check()
            if config.backend == "v4l2":
                probe(Path(config.source), claim=True)
    except CameraError as error:
        if error.fault is CameraFault.NO_PERMISSION and (owner is None or os.geteuid() not in (0, owner)):
            return Finding("camera", State.WEAK, error.problem, AS_ROOT)
        if error.fault is CameraFault.BUSY:
            return _busy(Path(config.source), error, agent)
        state = State.MISSING if error.fault is CameraFault.UNPLUGGED else State.FAILED
        return Finding("camera", state, error.problem, error.remedy)
    except FacelatchError as error:
        return failed("camera", error)
    return Finding("camera", State.OK, f"{config.backend} {config.source} can be used")


def _busy(device: Path, error: CameraError, agent: Peer | None) -> Finding:
    """Name the program that has the camera, unless that is the agent at its work."""
    users = programs_using(device)
    if agent is not None and agent.pid in users:
        return Finding("camera", State.OK, f"{device} is in use by the agent")
    if not users:
        return failed("camera", error)
    names = ", ".join(f"{name} ({pid})" for pid, name in sorted(users.items()))
    return Finding("camera", State.FAILED, f"{error.problem}, {names}", "close that program")
