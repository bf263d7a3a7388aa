# SPDX-License-Identifier: Apache-2.0
"""A door controller's part: it trusts one public key on one device, and believes nothing but a signature."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from facelatch.daemon.signature import Statement
from facelatch.ipc.interface import VerifyReply

_CHALLENGE_BYTES = 32


@dataclass(frozen=True)
class Controller:
    """Who may open this door.

    Attributes:
        audience: the door's own name.
        device_id: 16 bytes, of the one device it listens to.
        peer_uid: user id under which it asks there.
        user: whom it lets in.
        public_key: 32 bytes, noted when that user enrolled; the one in a reply proves nothing.
    """

    audience: str
    device_id: bytes
    peer_uid: int
    user: str
    public_key: bytes

    @staticmethod
    def challenge() -> bytes:
        """Return fresh random bytes, so that no old signature fits."""
        return secrets.token_bytes(_CHALLENGE_BYTES)

    def accepts(self, reply: VerifyReply, challenge: bytes) -> bool:
        """Tell whether a reply proves that the user was there for this challenge."""
        signature, time_usec = reply.get("signature"), reply.get("time_usec")
        if signature is None or time_usec is None:
            return False
        statement = Statement(self.device_id, self.user, self.audience, self.peer_uid, time_usec, challenge)
        try:
            VerifyKey(self.public_key).verify(statement.encode(), base64.b64decode(signature, validate=True))
        except (BadSignatureError, binascii.Error, ValueError):
            return False
        return True
