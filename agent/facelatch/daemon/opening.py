# SPDX-License-Identifier: Apache-2.0
"""The latch as the socket has it: who is refused before the camera looks, and how its faults are told."""

from __future__ import annotations

from facelatch.daemon.agent import Agent
from facelatch.daemon.strike import DisarmedError, Strike
from facelatch.errors import LatchError
from facelatch.hardware.indicator import REFUSED
from facelatch.ipc import interface as wire
from facelatch.ipc.peer import Peer


def armed(agent: Agent, peer: Peer) -> Strike:
    """Give the latch, if there is one and it may open.

    Raises:
        InvalidArgument, PermissionDenied: there is none, or root has not armed it.
    """
    if agent.strike is None:
        raise wire.InvalidArgument(parameter="open_latch", problem="no latch is configured")
    try:
        agent.strike.require_armed()
    except DisarmedError as error:
        raise _disarmed(agent, peer, error) from None
    return agent.strike


async def opened(agent: Agent, strike: Strike, peer: Peer, user: str) -> None:
    """Open it for one pulse.

    Raises:
        PermissionDenied, StorageFault: it stays locked; the contract has no nearer word for a fault of the latch.
    """
    try:
        await strike.open(peer, user)
    except DisarmedError as error:  # while the camera looked
        raise _disarmed(agent, peer, error) from None
    except LatchError as error:
        agent.signals.result(REFUSED)
        raise wire.StorageFault(what=str(error)) from error


def _disarmed(agent: Agent, peer: Peer, error: DisarmedError) -> wire.PermissionDenied:
    agent.audit.refused(peer, None, error.problem)
    agent.signals.result(REFUSED)
    return wire.PermissionDenied(action="open the latch, which is disarmed")
