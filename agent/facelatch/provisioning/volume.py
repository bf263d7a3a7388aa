# SPDX-License-Identifier: Apache-2.0
"""The volume: what lies on it now, and how it is to be encrypted. Nothing that is on it is ever overwritten."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from facelatch.provisioning.system import ProvisionError, System

LABEL = "facelatch"
"""Label of a volume that is done."""

UNFINISHED = "facelatch-unfinished"
"""Label of one that is being made: nothing is on it yet, so it may be made anew."""

LEAST_BYTES = 32 * 2**20
"""LUKS2 keeps 16 MiB for itself; the rest holds 1000 records and their file system many times over."""

_FEATURES = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
_NOTHING_FOUND = 2  # blkid(8)


class Content(Enum):
    """What lies on a volume."""

    NOTHING = "nothing"
    UNFINISHED = "begun by an earlier run"
    OURS = "done by an earlier run"


@dataclass(frozen=True)
class Cipher:
    """A cipher of dm-crypt, and the length of its key in bits."""

    name: str
    key_bits: int


AES = Cipher("aes-xts-plain64", 512)
ADIANTUM = Cipher("xchacha12,aes-adiantum-plain64", 256)
"""Made for processors without AES instructions, where AES takes several times as long (Crowley, Biggers 2018)."""


def choose_cipher(cpuinfo: str) -> Cipher:
    """Choose by what the processor says of itself (/proc/cpuinfo): a Pi 5 has AES instructions, a Pi 4 has none."""
    features = _FEATURES.search(cpuinfo)
    return AES if features and "aes" in features[1].split() else ADIANTUM


def examine(system: System, volume: Path) -> Content:
    """Tell what lies on a volume.

    Raises:
        ProvisionError: it cannot be used, is used already, or holds something.
    """
    try:
        status = volume.stat()
    except OSError as error:
        raise ProvisionError(f"volume {volume} cannot be looked at ({error.strerror})", "correct --volume") from error
    if not (stat.S_ISBLK(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise ProvisionError(f"volume {volume} is neither a partition nor a file", "correct --volume")
    size = _size(volume)
    if size < LEAST_BYTES:
        raise ProvisionError(f"volume {volume} has {size >> 20} MiB", f"give one of at least {LEAST_BYTES >> 20} MiB")
    found, text = system.ask("blkid", "-p", "-o", "export", str(volume))
    tags = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if found == _NOTHING_FOUND:
        _require_unused(volume, status)
        return Content.NOTHING
    if found == 0 and tags.get("TYPE") == "crypto_LUKS" and tags.get("LABEL") == LABEL:
        return Content.OURS
    _require_unused(volume, status)
    if found == 0 and tags.get("TYPE") == "crypto_LUKS" and tags.get("LABEL") == UNFINISHED:
        return Content.UNFINISHED
    kind = tags.get("TYPE") or tags.get("PTTYPE") or "something"
    raise ProvisionError(
        f"volume {volume} holds {kind}, and nothing is ever overwritten",
        f"choose another, or, if all on it may be lost, run `wipefs --all {volume}` first",
    )


def uuid_of(system: System, volume: Path) -> str:
    """Return the UUID of a LUKS volume.

    Raises:
        ProvisionError: it has none.
    """
    status, text = system.ask("cryptsetup", "luksUUID", str(volume))
    if status != 0:
        raise ProvisionError(f"volume {volume} has no UUID", "see `cryptsetup luksDump`")
    return text.strip()


def format_volume(system: System, volume: Path, cipher: Cipher, key: bytes) -> None:
    """Make a LUKS2 volume, open for now to one key of full entropy, which therefore needs no stretching."""
    system.run(
        *("cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", f"--label={UNFINISHED}"),
        *(f"--cipher={cipher.name}", f"--key-size={cipher.key_bits}"),
        *("--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--key-file=-", str(volume)),
        given=key,
    )


def _size(volume: Path) -> int:
    with volume.open("rb") as file:
        return file.seek(0, os.SEEK_END)


def _require_unused(volume: Path, status: os.stat_result) -> None:
    if stat.S_ISBLK(status.st_mode):
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        mounted = any(line.split()[2] == number for line in Path("/proc/self/mountinfo").read_text().splitlines())
        holders = Path("/sys/dev/block", number, "holders")
        held = holders.is_dir() and any(holders.iterdir())
        swaps = Path("/proc/swaps").read_text().split()
        if mounted or held or str(volume.resolve()) in swaps:
            raise ProvisionError(f"volume {volume} is in use", "unmount and close it first, or choose another")
