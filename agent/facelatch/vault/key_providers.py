# SPDX-License-Identifier: Apache-2.0
"""Opens the device key that the configuration names."""

from __future__ import annotations

import os
from pathlib import Path

from facelatch.errors import ConfigError
from facelatch.vault.device_key import FileKey, HostFileKey
from facelatch.vault.files import sweep
from facelatch.vault.filesystem import OS, FileSystem
from facelatch.vault.key_credential import CredentialKey, Tpm2Key
from facelatch.vault.key_firmware import FirmwareKey
from facelatch.vault.key_ring import FileKeyRing, KeyRing, next_path

FILE_KEYS: dict[str, type[FileKey]] = {kind.provider: kind for kind in (FirmwareKey, HostFileKey)}
_CREDENTIALS: dict[str, type[CredentialKey]] = {kind.provider: kind for kind in (Tpm2Key, CredentialKey)}

PROVIDERS = (FirmwareKey.provider, Tpm2Key.provider, CredentialKey.provider, HostFileKey.provider)
"""Names of the providers, best first; a new one is a module beside this one and an entry above."""


def open_key_ring(provider: str, path: Path, *, may_create: bool, fs: FileSystem = OS) -> KeyRing:
    """Load the device key, and sweep up what a power cut left beside its file.

    Args:
        provider: one of ``PROVIDERS``.
        path: ``host-file``: the key's file; ``rpi-fw-crypto``: the salt's file; ``systemd-credential`` and ``tpm2``:
            the encrypted credential, whose name is the last part.
        may_create: whether a missing file is made: only where nothing is enrolled that needs an older one. A
            credential is made by the administrator.
        fs: operations on the disk.

    Raises:
        ConfigError: there is no such provider.
        DeviceKeyError: the key cannot be had; the message says what to do.
        StorageError: its directory cannot be read or swept.
    """
    if provider in _CREDENTIALS:
        return KeyRing(_CREDENTIALS[provider].load(path))
    if provider not in FILE_KEYS:
        raise ConfigError(f"there is no device key provider {provider!r}", f"use one of {', '.join(PROVIDERS)}")
    kind = FILE_KEYS[provider]
    if path.parent.is_dir():
        sweep(path.parent, fs=fs)
    if may_create and not os.path.lexists(path) and not os.path.lexists(next_path(path)):
        kind.create(path, fs=fs)
    return FileKeyRing(path, kind, fs=fs)
