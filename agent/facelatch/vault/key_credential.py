# SPDX-License-Identifier: Apache-2.0
"""A device key that systemd decrypts for the agent's unit (``LoadCredentialEncrypted=``).

The configured path is that of the encrypted file; its last part is the credential's name.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Self

from facelatch.errors import DeviceKeyError, StorageError
from facelatch.vault.device_key import KEY_BYTES, HeldKey, require_key
from facelatch.vault.files import MissingFileError, read_bounded

DIRECTORY_VARIABLE = "CREDENTIALS_DIRECTORY"

MAX_BLOB_BYTES = 64 * 2**10
"""Largest encrypted credential read: one of 32 bytes takes up some hundred, sealed to a TPM2 a few thousand."""

KIND_BYTES = 16
"""An encrypted credential begins with the id of what it was sealed with."""

TPM2_KINDS = frozenset(
    bytes.fromhex(kind)
    for kind in (
        "0c7cc07b117645919c4b0bea08bc20fe",  # TPM2
        "faf7eb9341e3412ca1a436f95a29362f",  # TPM2, with a signed policy
        "93a894094874449090caf2fc93cab553",  # TPM2 and host key
        "ef4ac13679a9480ea7db68897f9f165d",  # the same, for one user
        "af4950a849134eb1a73846304ff30c05",  # TPM2 with a signed policy, and host key
        "adbc4ca3efb64201ba881b6f2e4095ea",  # the same, for one user
    )
)
"""The kinds that need the TPM2 they were sealed by (systemd, src/shared/creds-util.h: CRED_AES256_GCM_BY_...)."""


class CredentialKey(HeldKey):
    """A credential of which nothing is known but its content.

    Weak: unless it was sealed to a TPM2, what decrypts it lies in ``/var/lib/systemd``, on the same card.
    """

    provider = "systemd-credential"
    weak = True

    @classmethod
    def load(cls, path: Path) -> Self:
        """Take the credential that systemd has decrypted.

        Args:
            path: the encrypted file.

        Raises:
            DeviceKeyError: systemd has passed no such credential, or it is not a key.
        """
        directory = os.environ.get(DIRECTORY_VARIABLE)
        if directory is None:
            raise DeviceKeyError(
                f"systemd has passed no credentials to this process, so not device key {path}",
                f"put `LoadCredentialEncrypted={path.name}:{path}` into the agent's unit and start it by systemd",
            )
        credential = Path(directory, path.name)
        try:
            # Not checked for owner and mode: systemd lets the unit's user read it by an access control list, which
            # shows as a file of root that a group may read. The directory is open to that user and root alone.
            return cls(require_key(read_bounded(credential, KEY_BYTES), path))
        except MissingFileError as error:
            raise DeviceKeyError(
                f"systemd has passed no credential {path.name!r}, the device key",
                f"put `LoadCredentialEncrypted={path.name}:{path}` into the agent's unit",
            ) from error
        except StorageError as error:
            raise DeviceKeyError(f"device key: {error.problem}", error.remedy) from error


class Tpm2Key(CredentialKey):
    """A credential sealed to this machine's TPM2, which a stolen card lacks."""

    provider = "tpm2"
    weak = False

    @classmethod
    def load(cls, path: Path) -> Self:
        """Take the credential, and see that the encrypted file is one that needs a TPM2.

        That systemd decrypted this very file is the unit's word: the agent cannot see it.

        Raises:
            DeviceKeyError: as ``CredentialKey``; or the encrypted file cannot be read, or needs no TPM2.
        """
        key = super().load(path)
        if sealed_with(path) not in TPM2_KINDS:
            raise DeviceKeyError(
                f"device key {path} is not sealed to a TPM2",
                f"seal it by `systemd-creds encrypt --with-key=tpm2 --name={path.name}`, "
                f"or use provider {CredentialKey.provider!r}",
            )
        return key


def sealed_with(path: Path) -> bytes:
    """Return the id that an encrypted credential begins with; one with no such id gives fewer or meaningless bytes.

    Raises:
        DeviceKeyError: the file cannot be read.
    """
    try:
        text = read_bounded(path, MAX_BLOB_BYTES)
    except StorageError as error:
        raise DeviceKeyError(
            f"device key: {error.problem}",
            f"put the encrypted credential there and let the agent read it (it is ciphertext): `chmod a+r {path}`",
        ) from error
    try:
        return base64.b64decode(text)[:KIND_BYTES]
    except binascii.Error:
        return b""
