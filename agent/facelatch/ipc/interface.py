# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N802, D106 - the method names are those of the wire, and Parameters is asyncvarlink's own idiom
"""The two interfaces of the agent as typed classes; ``python -m facelatch.ipc.interface`` prints them.

The printed text is kept beside this file as ``io.facelatch.varlink``. Implement an interface by subclassing it and
overriding methods with the same signature. Types are read at run time, so annotations here are not postponed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from asyncvarlink import FileDescriptor, TypedVarlinkErrorReply

from facelatch.ipc.contract import Contract, method, stream
from facelatch.ipc.words import (
    CameraReason,
    CameraState,
    ComponentState,
    EnrollMode,
    EnrollResult,
    Liveness,
    MonitorEvent,
    ProgressResult,
    VerifyResult,
)

_STATUS = "io.facelatch.Status"
_AGENT = "io.facelatch.Agent"


@dataclass(frozen=True)
class Component:
    """A part of the agent, how it is, and a sentence about it."""

    name: str
    state: ComponentState
    detail: str


@dataclass(frozen=True)
class Progress:
    """One look at the camera; ``remaining`` is how many stages an enrolment still needs."""

    result: ProgressResult
    remaining: int | None = None


@dataclass(frozen=True)
class User:
    """An enrolled user, for administrators."""

    name: str
    administrator: bool
    enrolled_usec: int
    public_key: str
    locked_until_usec: int | None = None


class StatusReply(TypedDict):
    """Reply of ``GetStatus``."""

    version: str
    parameter_set: str
    ready: bool
    users: int
    camera: CameraState
    liveness: Liveness
    components: list[Component]


class MonitorReply(TypedDict):
    """One event; ``user`` is None for peers not allowed to know it."""

    time_usec: int
    event: MonitorEvent
    user: str | None


class VerifyReply(TypedDict, total=False):
    """Either ``progress``, or ``result`` and what belongs to it."""

    progress: Progress | None
    result: VerifyResult | None
    user: str | None
    time_usec: int | None
    signature: str | None
    public_key: str | None


class EnrollReply(TypedDict, total=False):
    """Either ``progress``, or ``result`` and what belongs to it."""

    progress: Progress | None
    result: EnrollResult | None
    reason: str | None
    public_key: str | None


class UnsealReply(TypedDict, total=False):
    """Either ``progress``, or ``result`` and on a match the secret."""

    progress: Progress | None
    result: VerifyResult | None
    secret_fd: FileDescriptor | None


class ListUsersReply(TypedDict):
    """Reply of ``ListUsers``."""

    users: list[User]


class RekeyReply(TypedDict):
    """Reply of ``Rekey``."""

    key_id: str


class StatusPermissionDenied(TypedVarlinkErrorReply, name=f"{_STATUS}.PermissionDenied"):
    """The policy does not let this peer do that."""

    class Parameters:
        action: str


class PermissionDenied(TypedVarlinkErrorReply, interface=_AGENT):
    """The policy does not let this peer do that."""

    class Parameters:
        action: str


class NotEnrolled(TypedVarlinkErrorReply, interface=_AGENT):
    """Nobody of that name is enrolled."""

    class Parameters:
        user: str


class AlreadyEnrolled(TypedVarlinkErrorReply, interface=_AGENT):
    """The name is taken, and mode new does not replace."""

    class Parameters:
        user: str


class NoSuchSecret(TypedVarlinkErrorReply, interface=_AGENT):
    """The user has sealed nothing under that name."""

    class Parameters:
        name: str


class Busy(TypedVarlinkErrorReply, interface=_AGENT):
    """The camera is looking for somebody else."""

    class Parameters:
        pass


class CameraUnavailable(TypedVarlinkErrorReply, interface=_AGENT):
    """The camera does not deliver usable frames."""

    class Parameters:
        reason: CameraReason
        detail: str

    if TYPE_CHECKING:  # asyncvarlink's own signature takes JSON values only, and a Word is none

        def __init__(self, *, reason: CameraReason, detail: str) -> None: ...


class LockedOut(TypedVarlinkErrorReply, interface=_AGENT):
    """Too many attempts; without a time, only another way in ends it."""

    class Parameters:
        retry_after_ms: int | None


class Timeout(TypedVarlinkErrorReply, interface=_AGENT):
    """Nobody was recognised in the time given."""

    class Parameters:
        pass


class Cancelled(TypedVarlinkErrorReply, interface=_AGENT):
    """Somebody called Cancel."""

    class Parameters:
        pass


class StorageFault(TypedVarlinkErrorReply, interface=_AGENT):
    """The state directory cannot be read or written."""

    class Parameters:
        what: str


class InvalidArgument(TypedVarlinkErrorReply, interface=_AGENT):
    """A parameter has the right type and a value that is not allowed."""

    class Parameters:
        parameter: str
        problem: str


class StatusInterface(Contract):
    """How the agent is. Never a user name or a figure about a person, but to peers allowed to know."""

    name = _STATUS
    errors = (StatusPermissionDenied,)

    @method
    async def GetStatus(self) -> StatusReply:
        """Say how the agent and its parts are. For anyone."""
        raise NotImplementedError

    @stream
    def Monitor(self) -> AsyncIterator[MonitorReply]:
        """Report events as they happen. Needs more; user is given to peers allowed to know it."""
        raise NotImplementedError


class AgentInterface(Contract):
    """Verification, enrolment and sealed secrets. The kernel's peer credentials are the only authorisation."""

    name = _AGENT
    errors = (
        PermissionDenied,
        NotEnrolled,
        AlreadyEnrolled,
        NoSuchSecret,
        Busy,
        CameraUnavailable,
        LockedOut,
        Timeout,
        Cancelled,
        StorageFault,
        InvalidArgument,
    )

    @stream
    def Verify(
        self,
        *,
        user: str | None = None,
        challenge: str | None = None,
        audience: str | None = None,
        open_latch: bool | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[VerifyReply]:
        """Look for a face. With more: progress, then a reply with result set. Without: that last one only.

        signature covers "facelatch-verify-v1", device id, user, audience, peer uid, time_usec and challenge.
        challenge: 16 to 64 bytes, base64.
        """
        raise NotImplementedError

    @stream
    def Enroll(
        self,
        *,
        user: str,
        administrator: bool | None = None,
        mode: EnrollMode | None = None,
        timeout_ms: int | None = None,
    ) -> AsyncIterator[EnrollReply]:
        """Enrol a face.

        mode: new refuses an enrolled name; replace makes new keys; add is an unlock followed by a refresh.
        """
        raise NotImplementedError

    @method
    async def Cancel(self) -> None:
        """Cancel what runs. A peer that hangs up cancels its own request."""
        raise NotImplementedError

    @method
    async def ListUsers(self) -> ListUsersReply:
        """Name the enrolled users."""
        raise NotImplementedError

    @method
    async def RemoveUser(self, *, user: str) -> None:
        """Forget a user and what was sealed for them."""
        raise NotImplementedError

    @method
    async def ResetLockout(self, *, user: str | None = None) -> None:
        """Let a user, or the device, try again at once."""
        raise NotImplementedError

    @method
    async def Rekey(self) -> RekeyReply:
        """Encrypt every record under a new device key."""
        raise NotImplementedError

    @method
    async def Seal(self, *, user: str, name: str, secret_fd: FileDescriptor) -> None:
        """Seal a secret, read from a descriptor, to a face. Needs no face.

        name: up to 64 of a-z 0-9 . _ -; at most 16 secrets of 4 KiB a user.
        """
        raise NotImplementedError

    @stream
    def Unseal(self, *, user: str, name: str, timeout_ms: int | None = None) -> AsyncIterator[UnsealReply]:
        """Look for the user's face and return the secret in a sealed memfd."""
        raise NotImplementedError

    @method
    async def ForgetSecret(self, *, user: str, name: str) -> None:
        """Forget a sealed secret."""
        raise NotImplementedError


def describe() -> str:
    """Print both interfaces in Varlink's notation, as ``io.facelatch.varlink`` has them."""
    return "\n---\n\n".join(
        declaration.render_interface_description().rstrip("\n") + "\n"
        for declaration in (StatusInterface, AgentInterface)
    )


if __name__ == "__main__":
    print(describe(), end="")
