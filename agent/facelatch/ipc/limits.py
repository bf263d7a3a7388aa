# SPDX-License-Identifier: Apache-2.0
"""How much one peer may ask of the agent: every bound of the socket, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server; the defaults are the product's, tests tighten or lift them."""

    # An idle connection costs a descriptor and a few kilobytes, so 64 is cheap and far more than a device needs.
    connections: int = 64
    # One user cannot take all the places; 16 still lets a desktop session hold several.
    connections_per_uid: int = 16
    # Places nobody but root may take: whatever the users do, PAM and the administrator still get in.
    connections_kept_for_root: int = 16

    # Of one user, on all connections to one socket together: a connection is a turn, and so is each piece read from
    # one, as a request mostly is. The command line takes about 17 a second at its fastest; a request costs about a
    # millisecond, so one user gets a few hundredths of a core. Whoever wants more is read more slowly, and not let in.
    turns_per_second: float = 25.0
    # Enough to open all places of a user and ask several times on each, after a rest of four seconds.
    turns_at_once: int = 100

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
