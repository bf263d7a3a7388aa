# SPDX-License-Identifier: Apache-2.0
"""Everything that the socket's methods work on."""

from __future__ import annotations

from dataclasses import dataclass

from facelatch.config import Config
from facelatch.daemon.audit import Audit
from facelatch.daemon.policy import Policy
from facelatch.daemon.roster import Roster
from facelatch.daemon.signals import Signals
from facelatch.daemon.strike import Strike
from facelatch.daemon.worker import Worker
from facelatch.hardware.button import Button
from facelatch.ipc.words import Liveness
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import Lockout
from facelatch.vault.secrets import Secrets

_DEVICE_ID_BYTES = 16


@dataclass(frozen=True)
class Agent:
    """The agent's parts; one for the daemon's life."""

    config: Config
    policy: Policy
    ring: KeyRing
    extractor: Extractor
    roster: Roster
    secrets: Secrets
    lockout: Lockout
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
    def device_key(self) -> DeviceKey:
        """The device key in use."""
        return self.ring.newest

    def renew_device_key(self) -> None:
        """Put everything under a new device key; after an error or a power cut, calling it again goes on.

        Raises:
            DeviceKeyError: the provider cannot make one, or the new one cannot take the old one's place.
            StorageError: not all could be moved; both keys are kept.
        """
        key = self.ring.begin_rotation()
        self.roster.move(key)
        if self.secrets.key_id != key.key_id:
            self.secrets.reseal(key)
        self.lockout.move(key)
        self.ring.finish_rotation()

    @property
    def device_id(self) -> bytes:
        """Names the device in signatures; 16 bytes."""
        return self.device_key.derive("device-id")[:_DEVICE_ID_BYTES]
