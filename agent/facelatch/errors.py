# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, one class a fault, each able to tell a person what to do.

A message has three parts, in this order: what is wrong, with which thing, and the remedy. The command line prints it
as one line and exits with status 2; nothing here ever carries a distance, a score or part of an embedding.
"""

from __future__ import annotations

from enum import StrEnum


class FacelatchError(Exception):
    """Base of every error a person may see.

    Args:
        problem: what is wrong and with which thing, without a full stop ("model encoder.tflite is damaged").
        remedy: what to do about it, as an instruction ("reinstall facelatch").
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """Give the whole message in one line."""
        return f"{self.problem}: {self.remedy}"


class ConfigError(FacelatchError):
    """The configuration file cannot be read, or a key or value in it is not allowed."""


class ModelError(FacelatchError):
    """A model file is missing, has another hash than the manifest, or is not what its name says."""


class ParameterSetError(FacelatchError):
    """A parameter set is not one of those pinned in code, or fails a check at load."""


class EmbeddingError(FacelatchError):
    """An embedding has the wrong shape, is not finite, or has no direction."""


class RecordError(FacelatchError):
    """A stored record cannot be used; the subclasses say why."""


class RecordCorruptError(RecordError):
    """The record is truncated, altered, or was never a record."""


class RecordVersionError(RecordError):
    """The record was written by another version of the format."""


class RecordKeyError(RecordError):
    """The record is whole as far as can be told, but belongs to another device key."""


class RecordParameterError(RecordError):
    """The record was made under another parameter set than the one in use."""


class DeviceKeyError(FacelatchError):
    """The device key is missing, unreadable by us, readable by others, or malformed."""


class StorageError(FacelatchError):
    """The state directory cannot be read or written."""


class CameraFault(StrEnum):
    """Reasons a camera gives for not delivering (the wire words of ``CameraUnavailable``)."""

    BUSY = "busy"
    UNPLUGGED = "unplugged"
    DARK = "dark"
    FROZEN = "frozen"
    NO_PERMISSION = "no_permission"
    MISCONFIGURED = "misconfigured"


class CameraError(FacelatchError):
    """The camera does not deliver usable frames."""

    def __init__(self, fault: CameraFault, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.fault = fault


class CameraStuckError(CameraError):
    """The camera's driver has not come back from an earlier attempt; a new start of the agent may help."""


class ServiceManagerError(FacelatchError):
    """Systemd did not hand over what its units are to hand over."""


class ButtonError(FacelatchError):
    """The button is missing, or we may not read it."""


class IndicatorError(FacelatchError):
    """The indicator does not show what it should."""


class LatchError(FacelatchError):
    """The latch does not open, or does not close."""


class AgentUnreachableError(FacelatchError):
    """No agent answers on the socket."""
