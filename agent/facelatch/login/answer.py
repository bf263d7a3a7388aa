# SPDX-License-Identifier: Apache-2.0
"""What PAM is told: that the user's own face was recognised, in time; or nothing, and the next module is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path

from asyncvarlink import VarlinkErrorReply

from facelatch.config import PamConfig
from facelatch.errors import FacelatchError
from facelatch.ipc.client import connect
from facelatch.ipc.interface import AgentInterface
from facelatch.ipc.words import VerifyResult
from facelatch.login.remote import why_not_here

# A reset needs no camera: an agent that takes longer is not there.
_RESET_SECONDS = 2.0


class FallThroughError(FacelatchError):
    """The face does not answer; the password does."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, "use the password")


def verify(environment: Mapping[str, str], config: PamConfig, socket: Path) -> None:
    """Return if the user who logs in was recognised.

    Args:
        environment: PAM's items, as pam_exec gives them.
        config: how long it may take, and for whom never.
        socket: the agent's.

    Raises:
        FallThroughError: they were not, or it was not tried.
    """
    user = _user(environment)
    if environment.get("PAM_SERVICE") in config.never:
        raise FallThroughError(f"a face does not open the service {environment['PAM_SERVICE']}")
    far = why_not_here(environment)
    if far is not None:
        raise FallThroughError(f"a face does not open this login: {far}")

    async def ask() -> bool:
        async with connect(AgentInterface, socket) as agent:
            async for reply in agent.Verify(user=user, timeout_ms=int(config.timeout * 1000)):
                if reply.get("result") is VerifyResult.verify_match and reply.get("user") == user:
                    return True
        return False

    if not _within(config.timeout, ask()):
        raise FallThroughError("the face was not recognised")


def reset(environment: Mapping[str, str], socket: Path) -> None:
    """Let the user try again, since PAM has recognised them by another method.

    Raises:
        FallThroughError: the agent does not.
    """
    user = _user(environment)

    async def ask() -> bool:
        async with connect(AgentInterface, socket) as agent:
            await agent.ResetLockout(user=user)
        return True

    _within(_RESET_SECONDS, ask())


def _user(environment: Mapping[str, str]) -> str:
    if environment.get("PAM_TYPE") != "auth" or not environment.get("PAM_USER"):
        raise FallThroughError("this is not an authentication of a user by pam_exec")
    return environment["PAM_USER"]


def _within(seconds: float, asking: Coroutine[object, object, bool]) -> bool:
    async def bounded() -> bool:
        async with asyncio.timeout(seconds):
            return await asking

    try:
        return asyncio.run(bounded())
    except TimeoutError:
        raise FallThroughError("the agent took too long") from None
    except VarlinkErrorReply as error:
        raise FallThroughError(f"the agent answered {error.name.rsplit('.', 1)[-1]}") from None
    except FacelatchError as error:
        raise FallThroughError(error.problem) from None
