# SPDX-License-Identifier: Apache-2.0
"""The parts that the agent is built from: models, parameter set, camera."""

from __future__ import annotations

from collections.abc import Iterator

from facelatch import models
from facelatch.config import Config
from facelatch.diagnosis.finding import AS_ROOT, Finding, State, failed
from facelatch.errors import CameraError, CameraFault, FacelatchError
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


def check_camera(chosen: Config, *, may_judge: bool = True) -> Finding:
    """See whether the camera could be opened, without taking it.

    Args:
        chosen: names the camera.
        may_judge: whether what is forbidden to us is forbidden to the agent.
    """
    camera = chosen.camera
    try:
        configured_camera(camera).check()
    except CameraError as error:
        if error.fault is CameraFault.NO_PERMISSION and not may_judge:
            return Finding("camera", State.WEAK, error.problem, AS_ROOT)
        state = State.MISSING if error.fault is CameraFault.UNPLUGGED else State.FAILED
        return Finding("camera", state, error.problem, error.remedy)
    except FacelatchError as error:
        return failed("camera", error)
    return Finding("camera", State.OK, f"{camera.backend} {camera.source} can be used")
