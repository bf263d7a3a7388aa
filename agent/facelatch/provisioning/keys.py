# SPDX-License-Identifier: Apache-2.0
"""What opens the volume at boot: a TPM2, the Pi's firmware, or a passphrase. None of them ever writes to the OTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facelatch.provisioning.system import ProvisionError, System
from facelatch.vault.device_key import KEY_BYTES
from facelatch.vault.key_firmware import FirmwareKey

SALT = Path("/etc/facelatch/volume.salt")
"""What the firmware's HMAC of the volume's key is taken of; useless without the board."""

KEY_FILE = Path("/run/facelatch-volume.key")
"""Where the key lies in memory, for the moment in which the volume is opened."""

LEAST_PASSPHRASE = 12
"""Characters; the stretching of LUKS2 does the rest."""

_LABEL = "volume"


@dataclass(frozen=True)
class VolumeKey:
    """A way to open the volume.

    Attributes:
        enroll: gives the volume this key; called with the system, the volume and the key that it has for now.
        file: what crypttab names as the key file.
        options: what crypttab needs besides.
        unit: what must run before the volume is opened, if anything.
    """

    enroll: Callable[[System, Path, str], None]
    file: str = "none"
    options: str = ""
    unit: str | None = None


def tpm2(device: str = "auto") -> VolumeKey:
    """A key sealed to this machine's TPM2 and the state of its secure boot (PCR 7), where its firmware measures one."""

    def enroll(system: System, volume: Path, now: str) -> None:
        command = ("systemd-cryptenroll", f"--tpm2-device={device}", "--tpm2-pcrs=7", str(volume))
        system.run(*command, secrets={"PASSWORD": now})

    return VolumeKey(enroll, options="tpm2-device=auto")


def firmware(key: bytes) -> VolumeKey:
    """A key that the Pi's firmware derives from its one-time memory; 32 bytes, as ``firmware_key`` gives it."""

    def enroll(system: System, volume: Path, now: str) -> None:
        add_key(system, volume, now, key, stretched=False)

    return VolumeKey(enroll, str(KEY_FILE), "keyfile-erase", "facelatch-volume-key.service")


def passphrase(phrase: str) -> VolumeKey:
    """A passphrase, which somebody types at each boot.

    Raises:
        ProvisionError: it is too short.
    """
    if len(phrase) < LEAST_PASSPHRASE:
        raise ProvisionError(
            f"the passphrase has {len(phrase)} characters", f"take at least {LEAST_PASSPHRASE}: a few random words"
        )

    def enroll(system: System, volume: Path, now: str) -> None:
        add_key(system, volume, now, phrase.encode(), stretched=True)

    return VolumeKey(enroll)


def add_key(system: System, volume: Path, now: str, new: bytes, *, stretched: bool) -> None:
    """Add a key to a volume that has one."""
    # Argon2id's default would ask a small board for a gigabyte, which it may not have at boot.
    stretching = ("--pbkdf=argon2id", "--pbkdf-memory=262144")
    plain = ("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000")
    system.run(
        *("cryptsetup", "luksAddKey", "--batch-mode", "--key-file=-", f"--keyfile-size={len(now)}"),
        *(stretching if stretched else plain),
        *(str(volume), "/dev/stdin"),
        given=now.encode() + new,
    )


def firmware_key(system: System, salt: Path = SALT) -> bytes:
    """Return the 32-byte key of the volume, whose salt is made if there is none yet.

    Raises:
        DeviceKeyError: the firmware does not answer, or its one-time memory holds no key.
    """
    if system.dry:
        return bytes(KEY_BYTES)
    key = FirmwareKey.load(salt) if salt.exists() else FirmwareKey.create(salt)
    return key.derive(_LABEL)
