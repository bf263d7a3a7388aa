# SPDX-License-Identifier: Apache-2.0
"""Everything that the socket's methods work on."""

from __future__ import annotations

from dataclasses import dataclass

from facelatch.config import Config
from facelatch.daemon.audit import Audit
from facelatch.daemon.policy import Policy
from facelatch.daemon.signals import Signals
from facelatch.daemon.state import State
from facelatch.daemon.strike import Strike
from facelatch.daemon.worker import Worker
from facelatch.hardware.button import Button
from facelatch.ipc.words import Liveness
from facelatch.l2fe.extractor import Extractor

_DEVICE_ID_BYTES = 16


@dataclass(frozen=True)
class Agent(State):
    """The agent's parts; one for the daemon's life."""

    config: Config
    policy: Policy
    extractor: Extractor
    worker: Worker
    audit: Audit
    live_camera: bool
    signals: Signals
    strike: Strike | None
    button: Button | None

    @property
    def liveness(self) -> Liveness:
        """What is asked of looks: nobody can say of a replay, which shows the past, that it is live."""
        if not self.live_camera:
            return Liveness.not_evaluated
        return Liveness[self.config.liveness or "required"]

    @property
    def device_id(self) -> bytes:
        """Names the device in signatures; 16 bytes."""
        return self.device_key.derive("device-id")[:_DEVICE_ID_BYTES]
