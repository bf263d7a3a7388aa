# SPDX-License-Identifier: Apache-2.0
"""How much one peer may ask of the agent: every bound of the socket, in one place."""

from __future__ import annotations

from dataclasses import dataclass

ROOT_UID = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server; the defaults are the product's, tests tighten or lift them."""

    # An idle connection costs a descriptor and a few kilobytes, so 64 is cheap and far more than a device needs.
    connections: int = 64
    # One user cannot take all the places; 16 still lets a desktop session hold several.
    connections_per_uid: int = 16
    # Places nobody but root may take: whatever the users do, PAM and the administrator still get in.
    connections_kept_for_root: int = 16

    # The contract's bound, in both directions, without the closing NUL. A sealed secret travels by descriptor.
    message_bytes: int = 64 * 1024
    # A message comes in one piece; whoever needs longer than this for one holds a buffer, not a conversation.
    message_seconds: float = 10.0
    # Running and waiting together. A well-behaved peer has one; a few more are room for pipelining.
    pending_requests: int = 4
    # A reply waits this long for a peer that does not read. No second reply is made before the first is taken.
    send_seconds: float = 10.0


STATUS_LIMITS = Limits(connections=256)
"""Of the socket that only tells: anyone may ask, and whoever watches stays. No user has more places than elsewhere."""
