# SPDX-License-Identifier: Apache-2.0
"""Joining byte strings so that no two lists of parts give the same bytes."""

from __future__ import annotations

import struct


def frame(*parts: bytes) -> bytes:
    """Join parts, each behind its length as u32 little-endian; injective for a given number of parts."""
    return b"".join(struct.pack("<I", len(part)) + part for part in parts)
