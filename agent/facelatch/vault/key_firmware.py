# SPDX-License-Identifier: Apache-2.0
"""A device key that the Raspberry Pi's firmware computes from the key in its one-time programmable memory (OTP).

The card holds a random salt only. What this is worth: a card or a copy of it is useless without the board; whoever is
root on the board, or boots it from a card of their own where secure boot is off, can ask the firmware as well.

Source: raspberrypi/utils, rpifwcrypto (README.md, main.c). Nothing here ever writes to the OTP.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import shutil
import subprocess
from typing import Self

from facelatch.errors import DeviceKeyError
from facelatch.vault.device_key import KEY_BYTES, FileKey

TOOL = "rpi-fw-crypto"
OTP_KEY_ID = 1
"""The device's own key, by the tool's documentation."""

ANSWER_LIMIT_S = 5.0
"""Longest wait for the firmware, which answers in milliseconds."""

LABEL = b"facelatch/device-key/1"
"""Sets this use of the OTP key apart from every other; the salt follows it."""

_ANSWER = re.compile(rb"[0-9a-f]{64}\n?")
_REFUSAL = re.compile(r"Last crypto error: ([0-9]+)")
_NO_KEY = (3, 6)  # RPI_FW_CRYPTO_KEY_NOT_FOUND, RPI_FW_CRYPTO_KEY_NOT_SET
_LOCKED = 4  # RPI_FW_CRYPTO_KEY_LOCKED
_NOT_SUPPORTED = 8  # RPI_FW_CRYPTO_NOT_SUPPORTED


class FirmwareKey(FileKey):
    """HMAC-SHA256 under the OTP key; the file holds the salt."""

    provider = "rpi-fw-crypto"
    weak = False

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """Ask the firmware.

        Raises:
            DeviceKeyError: the tool is missing, the firmware refuses or does not answer, or there is no key in OTP.
        """
        message = LABEL + secret
        key = firmware_hmac(message)
        # An unprogrammed OTP is all zeros, and an HMAC under zeros is known to anyone who has the salt.
        if hmac.compare_digest(key, hmac.digest(bytes(KEY_BYTES), message, hashlib.sha256)):
            raise _no_otp_key()
        return cls(key)


def firmware_command(tool: str) -> list[str]:
    """Return the command line that computes the HMAC of standard input and prints it as hexadecimal digits."""
    return [tool, "hmac", "--in", "/dev/stdin", "--key-id", str(OTP_KEY_ID), "--outform", "hex"]


def firmware_hmac(message: bytes) -> bytes:
    """Return the firmware's HMAC-SHA256 of a message (at most 2048 bytes) under the OTP key.

    Raises:
        DeviceKeyError: as ``FirmwareKey.from_secret``.
    """
    tool = shutil.which(TOOL)
    if tool is None:
        raise DeviceKeyError(
            f"device key: {TOOL} is not installed", "install Raspberry Pi's utilities, or choose another provider"
        )
    try:
        # The arguments are constants, the tool is the distribution's.
        answer = subprocess.run(  # noqa: S603
            firmware_command(tool), input=message, capture_output=True, check=False, timeout=ANSWER_LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceKeyError(
            f"device key: the firmware has not answered {TOOL} for {ANSWER_LIMIT_S:g} s", "restart the device"
        ) from error
    except OSError as error:
        raise DeviceKeyError(f"device key: cannot run {tool} ({error.strerror})", "install it anew") from error
    if answer.returncode != 0:
        raise _refused(answer.stderr.decode(errors="replace"))
    if not _ANSWER.fullmatch(answer.stdout):
        raise DeviceKeyError(f"device key: {TOOL} gives no HMAC in hexadecimal digits", "update it")
    return bytes.fromhex(answer.stdout.decode())


def _refused(complaint: str) -> DeviceKeyError:
    found = _REFUSAL.search(complaint)
    code = int(found[1]) if found else None
    if code in _NO_KEY:
        return _no_otp_key()
    if code == _LOCKED:
        return DeviceKeyError(
            "device key: the OTP key is locked against HMAC until the next boot",
            "restart the device, and let nothing lock it before the agent starts",
        )
    if code == _NOT_SUPPORTED:
        return DeviceKeyError(
            "device key: the firmware cannot compute HMACs", "update the firmware, or choose another provider"
        )
    if "Permission denied" in complaint or "Operation not permitted" in complaint:
        return DeviceKeyError(
            "device key: not allowed to ask the firmware",
            "give the agent's user the group of /dev/vcio, and allow that device in its unit",
        )
    if "No such file" in complaint:
        return DeviceKeyError(
            "device key: there is no firmware to ask, /dev/vcio is missing",
            "choose another provider, or allow the device in the agent's unit",
        )
    # The tool's own words, but on one line and not a page of them.
    words = " ".join(complaint.split())[:200] or "no reason given"
    return DeviceKeyError(f"device key: the firmware refuses ({words})", f"update the firmware and {TOOL}")


def _no_otp_key() -> DeviceKeyError:
    return DeviceKeyError(
        "device key: no key is programmed into this device's OTP",
        "program one with `rpi-otp-private-key`, which cannot be undone, or choose another provider",
    )
