# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802 - the method names are those of the wire
"""``io.facelatch.Status`` for one peer: how the agent is, and what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from facelatch import __version__
from facelatch.daemon.agent import Agent
from facelatch.daemon.mode import Mode, read_mode
from facelatch.daemon.policy import Action
from facelatch.errors import FacelatchError
from facelatch.ipc import interface as wire
from facelatch.ipc import words
from facelatch.ipc.peer import Peer


class StatusService(wire.StatusInterface):
    """Answers anyone about the agent, and those allowed about events."""

    def __init__(self, agent: Agent, peer: Peer) -> None:
        self._agent = agent
        self._peer = peer

    async def GetStatus(self) -> wire.StatusReply:  # noqa: D102 - the interface has it
        agent = self._agent
        return {
            "version": __version__,
            "parameter_set": agent.extractor.parameters.name,
            "ready": True,
            "users": len(agent.roster),
            "camera": self._camera(),
            "liveness": agent.liveness,
            "components": [
                wire.Component("device", words.ComponentState.ok, f"id {agent.device_id.hex()}"),
                self._device_key(),
                *self._camera_fault(),
                *self._hardware(),
            ],
        }

    async def Monitor(self) -> AsyncIterator[wire.MonitorReply]:  # noqa: D102 - the interface has it
        policy = self._agent.policy
        if not policy.allows(self._peer, Action.MONITOR):
            self._agent.audit.refused(self._peer, None, "monitor")
            raise wire.StatusPermissionDenied(action="monitor")
        with self._agent.audit.watch() as happenings:
            while True:
                told = await happenings.get()
                known = told.user is not None and policy.may_know(self._peer, told.user)
                yield {
                    "time_usec": told.time_usec,
                    "event": told.event,
                    "user": told.user if known else None,
                }

    def _camera(self) -> words.CameraState:
        worker = self._agent.worker
        if worker.busy:
            return words.CameraState.in_use
        return words.CameraState.idle if worker.camera_fault is None else words.CameraState.unavailable

    def _camera_fault(self) -> list[wire.Component]:
        # Whoever asks for the status must not be able to switch the camera on: so this is the last that was seen of it.
        fault = self._agent.worker.camera_fault
        return (
            [] if fault is None else [wire.Component("camera", words.ComponentState.failed, f"when last used: {fault}")]
        )

    def _hardware(self) -> Iterator[wire.Component]:
        """Describe the button, the indicator and the latch, as far as there are any."""
        agent, state = self._agent, words.ComponentState
        if agent.button is not None:
            yield _component("button", agent.button.name, agent.button.fault)
        if agent.config.indicator.led is not None:
            yield _component("indicator", agent.signals.indicator.name, agent.signals.fault)
        if agent.strike is not None:
            mode = read_mode(agent.config.state)
            detail = f"{agent.strike.latch.name}, {mode}"
            if agent.strike.fault is None and mode is not Mode.ARMED:
                yield wire.Component("latch", state.missing, f"{detail}: root arms it with 'facelatch arm'")
            else:
                yield _component("latch", detail, agent.strike.fault)

    def _device_key(self) -> wire.Component:
        key = self._agent.device_key
        detail = f"{key.provider}, id {key.key_id.hex()}"
        if key.weak:
            return wire.Component(
                "device_key", words.ComponentState.weak, f"{detail}; it lies on the same card as the records"
            )
        return wire.Component("device_key", words.ComponentState.ok, detail)


def _component(name: str, detail: str, fault: FacelatchError | None) -> wire.Component:
    if fault is None:
        return wire.Component(name, words.ComponentState.ok, detail)
    return wire.Component(name, words.ComponentState.failed, str(fault))
