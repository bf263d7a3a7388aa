# SPDX-License-Identifier: Apache-2.0
"""All that the agent keeps on disk, opened and mended in the one order that loses nothing."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from facelatch.config import Config
from facelatch.daemon.roster import Roster
from facelatch.l2fe.extractor import Extractor
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.filesystem import OS, FileSystem
from facelatch.vault.key_providers import open_key_ring
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import BootClock, Clock, Lockout
from facelatch.vault.secrets import Secrets
from facelatch.vault.store import Store, require_usable

_LOCKOUT = "lockout"
_SECRETS = "secrets"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """The device key, and what is kept under it."""

    ring: KeyRing
    roster: Roster
    secrets: Secrets
    lockout: Lockout

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


def open_state(
    config: Config, extractor: Extractor, stack: ExitStack, *, clock: Clock | None = None, fs: FileSystem = OS
) -> State:
    """Open what is there, make what a first start needs, and go on with what a power cut has interrupted.

    Args:
        config: names the places.
        extractor: of the parameter set in use.
        stack: what must be closed at the end goes onto it.
        clock: the kernel's, if not given.
        fs: operations on the disk.

    Raises:
        FacelatchError: the first part that cannot be used; nothing is started on half a store.
    """
    # What could fail is looked at before the first start makes a key and a directory.
    require_usable(config.state)
    key = config.device_key
    ring = open_key_ring(key.provider, key.path, may_create=not _has_records(config.state), fs=fs)
    store = stack.enter_context(Store(config.state, fs=fs))
    roster = Roster(store, ring, extractor)
    # Secrets that a renewal of the device key has not reached yet are still under the old one.
    secrets = Secrets(config.state / _SECRETS, ring.current, fs=fs)
    state = State(ring, roster, secrets, Lockout(config.state / _LOCKOUT, ring, clock or BootClock(), fs=fs))
    if ring.next is not None:
        _log.info("going on with a renewal of the device key that was interrupted")
        state.renew_device_key()
    for fault in secrets.sweep(roster).faults:
        # Unlike a record's fault this stops nothing: who has lost a secret can still unlock.
        _log.warning("%s", fault)
    return state


def _has_records(state: Path) -> bool:
    return state.is_dir() and (any(state.glob("*.rec")) or any(state.glob(f"{_SECRETS}/*.sec")))
