# SPDX-License-Identifier: Apache-2.0
"""The configuration: one TOML file, every key typed and bounded, an unknown key refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from facelatch.errors import ConfigError

DEFAULT_PATH = Path("/etc/facelatch/facelatch.toml")
# A configuration is a page of text; more than this is the wrong file.
_MAX_BYTES = 64 * 1024
_AUDIENCE = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Seconds = Annotated[float, Meta(gt=0, le=600)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class CameraConfig(_Section, frozen=True):
    """Which camera, and how it is asked for frames."""

    backend: Literal["picamera2", "v4l2", "replay"] = "v4l2"
    source: Annotated[str, Meta(min_length=1)] = "/dev/video0"
    width: Annotated[int, Meta(ge=160, le=4096)] = 640
    height: Annotated[int, Meta(ge=120, le=4096)] = 480
    fps: Annotated[float, Meta(ge=1, le=240)] | None = None
    loop: bool = True


class DeviceKeyConfig(_Section, frozen=True):
    """Where the device key is kept."""

    provider: Literal["rpi-fw-crypto", "tpm2", "systemd-credential", "host-file"] = "host-file"
    path: Path = Path("/var/lib/facelatch/device.key")


class VerifyConfig(_Section, frozen=True):
    """How long an attempt may take when the caller does not say, and when it is told that nobody matched.

    A no-match that came as soon as it is known would tell whether the name is enrolled and how much was tried.
    """

    timeout: Seconds = 10.0
    no_match_after: Annotated[float, Meta(ge=0, le=60)] = 2.0


class EnrollConfig(_Section, frozen=True):
    """How many good frames an enrolment takes, over how long they are spread, and when it is given up.

    Where a pose is missing it asks for it, as long again at most, and less where the timeout leaves less.
    """

    frames: Annotated[int, Meta(ge=6, le=200)] = 24
    seconds: Seconds = 6.0
    timeout: Seconds = 60.0


class PolicyConfig(_Section, frozen=True):
    """Who may do what, beside root: login names, and the group whose members may verify and watch."""

    administrators: list[str] = []
    group: Annotated[str, Meta(min_length=1)] = "facelatch"


class Config(_Section, frozen=True):
    """The whole file.

    Attributes:
        state: directory of the sealed records.
        runtime: directory of the two sockets.
        parameters: name of the parameter set.
        liveness: whether a face must be shown to be no picture. ``required``: always. ``prefer``: what looks like a
            picture is refused, and nothing is asked of who looks like neither. ``off``: never. Where it is not set it
            is required of a camera that shows the present, and not evaluated in a replay.
        audiences: for whom signatures are made, and which login names may ask for them; root may always.
    """

    state: Path = Path("/var/lib/facelatch/records")
    runtime: Path = Path("/run/facelatch")
    parameters: str = "standard"
    liveness: Literal["required", "prefer", "off"] | None = None
    camera: CameraConfig = field(default_factory=CameraConfig)
    device_key: DeviceKeyConfig = field(default_factory=DeviceKeyConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    enroll: EnrollConfig = field(default_factory=EnrollConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    audiences: dict[Annotated[str, Meta(pattern=_AUDIENCE)], list[str]] = {}


def load(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or holds a key or a value that is not allowed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"config {path} cannot be read ({error.strerror})", "check the path and its mode") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"config {path} is larger than {_MAX_BYTES} bytes", "give the path of a facelatch.toml")
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Config:
    """Check the bytes of a configuration file called ``name`` in messages.

    Raises:
        ConfigError: as ``load``.
    """
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config {name} is not TOML ({error})", "mend that line") from error
    try:
        return msgspec.convert(table, Config, dec_hook=_path)
    except msgspec.ValidationError as error:
        problem = str(error).replace("Object contains unknown field", "unknown key").replace("`$.", "`")
        raise ConfigError(f"config {name}: {problem}", "mend or remove that key") from error


def _path(kind: type, value: object) -> Path:
    """Read a path, which TOML has as a string; relative ones would depend on where the agent was started."""
    if kind is not Path:
        raise NotImplementedError(kind)
    if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute():
        raise ValueError(f"{value!r} is not an absolute path")
    return Path(value)
