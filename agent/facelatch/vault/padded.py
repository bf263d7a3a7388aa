# SPDX-License-Identifier: Apache-2.0
"""Framed parts at a fixed size, so that a ciphertext's length tells nothing about what is in it."""

from __future__ import annotations

import struct

from facelatch.l2fe.framing import frame


def pack(size: int, *parts: bytes) -> bytes:
    """Frame parts and fill up with zeros. Each part has its length, so the fill is never taken for a part of one.

    Raises:
        ValueError: the parts need more than ``size`` bytes.
    """
    framed = frame(*parts)
    if len(framed) > size:
        raise ValueError(f"{len(framed)} bytes do not fit into {size}")
    return framed.ljust(size, b"\0")


def unpack(data: bytes, count: int) -> list[bytes]:
    """Return the parts that ``pack`` was given.

    Args:
        data: what ``pack`` returned.
        count: how many parts there were.

    Raises:
        ValueError: these are not ``count`` parts and zeros.
    """
    parts: list[bytes] = []
    rest = data
    try:
        for _ in range(count):
            (length,) = struct.unpack_from("<I", rest)
            parts.append(rest[4 : 4 + length])
            rest = rest[4 + length :]
    except struct.error:
        raise ValueError("too short") from None
    if pack(len(data), *parts) != data:  # a part that was cut off, or a fill that is not zero
        raise ValueError("not packed parts")
    return parts
