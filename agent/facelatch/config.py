# SPDX-License-Identifier: Apache-2.0
"""The configuration: one TOML file, every key typed and bounded, an unknown key refused."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from facelatch.errors import ConfigError

# A configuration is a page of text; more than this is the wrong file.
_MAX_BYTES = 64 * 1024
_AUDIENCE = r"^[a-z0-9][a-z0-9._-]{0,63}$"

Seconds = Annotated[float, Meta(gt=0, le=600)]
# The kernel's name of an LED, or the directory of a stand-in.
Led = Annotated[str, Meta(pattern=r"^(/.+|[A-Za-z0-9][A-Za-z0-9:_.-]{0,63})$")]
Command = Annotated[list[Annotated[str, Meta(pattern=r"^[^\0]*$")]], Meta(max_length=32)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class CameraConfig(_Section, frozen=True):
    """Which camera, how it is asked for frames, and for how many seconds a frame is waited for."""

    backend: Literal["picamera2", "v4l2", "replay"] = "v4l2"
    source: Annotated[str, Meta(min_length=1)] = "/dev/video0"
    width: Annotated[int, Meta(ge=160, le=4096)] = 640
    height: Annotated[int, Meta(ge=120, le=4096)] = 480
    fps: Annotated[float, Meta(ge=1, le=240)] | None = None
    # Longer than the most, and the unit's watchdog would end the agent before the camera is named.
    patience: Annotated[float, Meta(ge=1, le=20)] = 2.5
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


class ButtonConfig(_Section, frozen=True):
    """The button at the door. Without a device there is none.

    Attributes:
        device: an event device of the kernel's gpio-keys driver; any of its keys counts.
        hold: seconds that ask for an enrolment.
        enroll_window: seconds after an administrator's unlock in which they are granted; 0 grants none.
        reset: whether a hold four times as long forgets everyone.
    """

    device: Path | None = None
    hold: Annotated[float, Meta(ge=1, le=30)] = 5.0
    enroll_window: Annotated[float, Meta(ge=0, le=300)] = 30.0
    reset: bool = False


class PresenceConfig(_Section, frozen=True):
    """Recognising whoever stands before the camera, without a touch: it keeps the camera and the indicator on.

    Attributes:
        seconds: that someone has to stay, better a few than one, which takes whoever passes; 0 is off.
    """

    seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0


class IndicatorConfig(_Section, frozen=True):
    """The light beside the camera: an LED of the kernel's LED class, by name or directory. Without one, none."""

    led: Led | None = None


class LatchConfig(_Section, frozen=True):
    """What holds the door.

    Attributes:
        backend: "led": the LED class, whose oneshot trigger ends the pulse in the kernel; "exec": a program.
        led: name or directory of that LED.
        command: opens for as long as it runs, at most ``pulse``; the program by its absolute path, and its arguments.
        release: locks, if ending the former is not enough.
        pulse: seconds for which it is open. A strike's coil is not made to be powered for longer than the most.
        gap: seconds that it rests at least.
        allow: login names that may have it opened over the socket, beside root and administrators.
        test: nothing real hangs on it, so a replay camera may open it.
    """

    backend: Literal["none", "led", "exec"] = "none"
    led: Led = "facelatch-latch"
    command: Command = []
    release: Command = []
    pulse: Annotated[float, Meta(ge=0.1, le=30)] = 3.0
    # Never 0: the kernel takes a pulse without an off time for one without an end.
    gap: Annotated[float, Meta(ge=0.1, le=60)] = 1.0
    allow: list[str] = []
    test: bool = False


class PamConfig(_Section, frozen=True):
    """What a login may cost in time, and which services a face never opens, beside any remote session."""

    timeout: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    never: list[str] = field(default_factory=lambda: ["sshd", "cockpit", "vsftpd"])


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
    button: ButtonConfig = field(default_factory=ButtonConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    indicator: IndicatorConfig = field(default_factory=IndicatorConfig)
    latch: LatchConfig = field(default_factory=LatchConfig)
    pam: PamConfig = field(default_factory=PamConfig)
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
    except (ValueError, RecursionError) as error:  # tomllib lets through what int() and deep nesting raise
        raise ConfigError(f"config {name} is not TOML ({error})", "mend that line") from error
    try:
        config = msgspec.convert(table, Config, dec_hook=_path)
    except msgspec.ValidationError as error:
        problem = str(error).replace("Object contains unknown field", "unknown key").replace("`$.", "`")
        raise ConfigError(f"config {name}: {problem}", "mend or remove that key") from error
    _require_a_safe_latch(config, name)
    return config


def _require_a_safe_latch(config: Config, name: str) -> None:
    latch = config.latch
    if latch.backend == "none":
        return
    if latch.backend == "exec" and not (latch.command and Path(latch.command[0]).is_absolute()):
        raise ConfigError(f"config {name}: latch.command does not begin with an absolute path", "name the program")
    if latch.release and not Path(latch.release[0]).is_absolute():
        raise ConfigError(f"config {name}: latch.release does not begin with an absolute path", "name the program")
    if config.button.reset:
        raise ConfigError(
            f"config {name}: button.reset and a latch exclude each other", "remove button.reset: root can remove users"
        )
    if config.camera.backend == "replay" and not latch.test:
        raise ConfigError(
            f"config {name}: a replay camera must not open a latch",
            "choose a real camera, or set latch.test where nothing hangs on the latch",
        )


def _path(kind: type, value: object) -> Path:
    """Read a path, which TOML has as a string; relative ones would depend on where the agent was started."""
    if kind is not Path:
        raise NotImplementedError(kind)
    if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute():
        raise ValueError(f"{value!r} is not an absolute path")
    return Path(value)
