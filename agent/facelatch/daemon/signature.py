# SPDX-License-Identifier: Apache-2.0
"""What a signature over an unlock covers (docs/crypto.md, "Signature"), for the agent and for whoever checks it."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from facelatch.l2fe.framing import frame

_CONTEXT = b"facelatch-verify-v1"
# Shorter could be guessed or repeat; longer is not a nonce.
MIN_CHALLENGE_BYTES = 16
MAX_CHALLENGE_BYTES = 64


@dataclass(frozen=True)
class Statement:
    """This user's face was in front of this device at this time, for this audience's challenge.

    Attributes:
        device_id: 16 bytes, as ``facelatch status`` shows it.
        user: who was recognised.
        audience: whom the signature is for; nobody else should accept it.
        peer_uid: who asked for it on the device.
        time_usec: microseconds since the epoch, by the device's clock.
        challenge: 16 to 64 bytes that the audience chose.
    """

    device_id: bytes
    user: str
    audience: str
    peer_uid: int
    time_usec: int
    challenge: bytes

    def encode(self) -> bytes:
        """Return the bytes that are signed."""
        return frame(
            _CONTEXT,
            self.device_id,
            self.user.encode(),
            self.audience.encode(),
            struct.pack("<I", self.peer_uid),
            struct.pack("<Q", self.time_usec),
            self.challenge,
        )
