# SPDX-License-Identifier: Apache-2.0
"""Everything that the socket's methods work on."""

from __future__ import annotations

from dataclasses import dataclass

from facelatch.config import Config
from facelatch.daemon.audit import Audit
from facelatch.daemon.policy import Policy
from facelatch.daemon.roster import Roster
from facelatch.daemon.worker import Worker
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.lockout import Lockout
from facelatch.vault.secrets import Secrets

_DEVICE_ID_BYTES = 16


@dataclass(frozen=True)
class Agent:
    """The agent's parts; one for the daemon's life."""

    config: Config
    policy: Policy
    device_key: DeviceKey
    extractor: Extractor
    roster: Roster
    secrets: Secrets
    lockout: Lockout
    worker: Worker
    audit: Audit
    live_camera: bool

    @property
    def device_id(self) -> bytes:
        """Names the device in signatures; 16 bytes."""
        return self.device_key.derive("device-id")[:_DEVICE_ID_BYTES]
