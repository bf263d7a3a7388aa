# SPDX-License-Identifier: Apache-2.0
"""A secret sealed to a user's face: made with the public key alone, opened with S (docs/crypto.md, "Seal")."""

from __future__ import annotations

from hmac import compare_digest

from nacl.bindings import crypto_box_SEALBYTES
from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox

from facelatch.errors import FacelatchError
from facelatch.l2fe.framing import frame
from facelatch.l2fe.keys import sealing_key
from facelatch.vault import padded
from facelatch.vault.record import MAX_USER_BYTES

MAX_SECRET_BYTES = 4096
MAX_NAME_BYTES = 64

_CONTEXT = b"facelatch-seal-v1"
_PLAIN_BYTES = len(frame(_CONTEXT, bytes(MAX_USER_BYTES), bytes(MAX_NAME_BYTES), bytes(MAX_SECRET_BYTES)))
BOX_BYTES = _PLAIN_BYTES + crypto_box_SEALBYTES
"""Every box has this size: that of a 12-character password and that of a disk key are not to be told apart."""


class SecretError(FacelatchError):
    """A sealed secret cannot be stored or used; the subclasses say why."""


class SecretCorruptError(SecretError):
    """The sealed secret is truncated, altered, or was never one."""


class SecretMisplacedError(SecretError):
    """The sealed secret is whole, but is another than it was looked for as: files were exchanged."""


def seal(secret: bytes, public_key: bytes, user: str, name: str) -> bytes:
    """Seal a secret; needs no face. Whoever has the public key can do this, so a box proves nothing of its origin.

    Args:
        secret: at most ``MAX_SECRET_BYTES``.
        public_key: the user's X25519 key.
        user: at most ``MAX_USER_BYTES`` in UTF-8.
        name: at most ``MAX_NAME_BYTES`` in UTF-8.

    Raises:
        ValueError: something is too long.
    """
    for part, most in ((user.encode(), MAX_USER_BYTES), (name.encode(), MAX_NAME_BYTES), (secret, MAX_SECRET_BYTES)):
        if len(part) > most:
            raise ValueError(f"{len(part)} bytes where at most {most} may be")
    plain = padded.pack(_PLAIN_BYTES, _CONTEXT, user.encode(), name.encode(), secret)
    return bytes(SealedBox(PublicKey(public_key)).encrypt(plain))


def unseal(box: bytes, unlocked: bytes, user: str, name: str) -> bytes:
    """Open a box.

    Args:
        box: what ``seal`` returned.
        unlocked: S, as the user's face gave it.
        user: whose secret it has to be.
        name: which secret it has to be.

    Raises:
        SecretCorruptError: the box was altered, or is sealed to other keys.
        SecretMisplacedError: it holds a secret of another user or name.
    """
    try:
        plain = SealedBox(sealing_key(unlocked)).decrypt(box)
        context, *owner, secret = padded.unpack(plain, 4)
        _require_sizes(box, secret)
    except (CryptoError, ValueError) as error:
        raise SecretCorruptError(
            f"secret {name!r} is damaged, or is sealed to other keys", "forget it and seal it again"
        ) from error
    if not compare_digest(frame(context, *owner), frame(_CONTEXT, user.encode(), name.encode())):
        raise SecretMisplacedError(f"what is stored as secret {name!r} is another one", "forget it and seal it again")
    return secret


def _require_sizes(box: bytes, secret: bytes) -> None:
    if len(box) != BOX_BYTES or not 0 < len(secret) <= MAX_SECRET_BYTES:
        raise ValueError("a size that sealing never gives")
