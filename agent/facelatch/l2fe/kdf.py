# SPDX-License-Identifier: Apache-2.0
"""The one way a key is derived from another key."""

from __future__ import annotations

import hashlib

PERSON = b"facelatch/kdf/1"
"""Sets these derivations apart from every other use of BLAKE2b with the same key."""

MIN_KEY_BYTES = 32
"""Shorter keys are refused: an empty one would make BLAKE2b a public function."""

MAX_KEY_BYTES = 64
"""What BLAKE2b takes."""

MAX_SIZE = 64
"""What BLAKE2b gives."""


def kdf(key: bytes, label: str, size: int = 32) -> bytes:
    """Derive a key: keyed BLAKE2b of the label, personalised with ``PERSON``.

    Different labels, and different sizes, give unrelated keys.

    Args:
        key: 32 to 64 secret bytes.
        label: what the derived key is for; not empty.
        size: 16 to 64 bytes.

    Raises:
        ValueError: an argument is outside these bounds.
    """
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"a key must have {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, not {len(key)}")
    if not label:
        raise ValueError("a derived key needs a label")
    if not 16 <= size <= MAX_SIZE:
        raise ValueError(f"a derived key has 16 to {MAX_SIZE} bytes, not {size}")
    return hashlib.blake2b(label.encode(), digest_size=size, key=key, person=PERSON).digest()
