# SPDX-License-Identifier: Apache-2.0
"""Files of text: the configuration, parameter sets, and the tables that a volume is entered into."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np

from facelatch import config
from facelatch.errors import ConfigError, ParameterSetError
from facelatch.l2fe import parameters
from facelatch.provisioning import tables
from facelatch.provisioning.system import ProvisionError
from tests import parameter_cases
from tests.fuzz.target import Target, require

_EXAMPLE = Path(__file__).parents[2] / "firmware_config" / "facelatch.toml"
_CRYPTTAB = tables.crypttab_line("UUID=0", "none")


def _config(data: bytes) -> None:
    found = config.parse(data, "facelatch.toml")
    _require_finite(msgspec.to_builtins(found, enc_hook=str))
    require(all(path.is_absolute() for path in (found.state, found.runtime, found.device_key.path)), "a relative path")


def _require_finite(value: object) -> None:
    match value:
        case dict():
            for inner in value.values():
                _require_finite(inner)
        case float():
            require(math.isfinite(value), "a number that is none")


def _parameters(data: bytes) -> None:
    try:
        parameters.load("standard", data)
    except ParameterSetError:
        pass
    else:
        require(False, "a set that is not the pinned one")
    found = parameters.parse(data)
    require(np.linalg.matrix_rank(found.projection.matrix) == found.k, "a projection that flattens faces")
    require(0 < found.radius(1) <= found.radius(1, early=False) and math.isfinite(found.cell), "a radius that is none")


def _tables(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    for line, field in ((_CRYPTTAB, 0), (tables.FSTAB_LINE, 1)):
        try:
            made = tables.with_line(text, line, field, Path("table"))
        except ProvisionError:
            continue
        # crypttab(5) and fstab(5) know of no end of a line but this one.
        about = [each.split() for each in made.split("\n") if not each.lstrip().startswith("#")]
        found = [fields for fields in about if len(fields) > field and fields[field] == line.split()[field]]
        require(line.split() in found, "the line is not in the table")
        require(all(fields == line.split() for fields in found), "another line is about the same thing")
        require(made.startswith(text), "what was in the table has changed")
        require(tables.with_line(made, line, field, Path("table")) == made, "entered twice")


# Every key, one a line, so that lines can be lost, doubled and exchanged.
_KEYS = """
state = "/s"
runtime = "/r"
parameters = "strict"
liveness = "off"
camera.backend = "v4l2"
camera.source = "/p"
camera.width = 640
camera.height = 480
camera.fps = 5.5
camera.loop = false
device_key.provider = "tpm2"
device_key.path = "/k"
verify.timeout = 1.0
verify.no_match_after = 0
enroll.frames = 6
enroll.seconds = 1
enroll.timeout = 2
button.device = "/b"
button.hold = 2
button.enroll_window = 0
button.reset = false
presence.seconds = 3
indicator.led = "light"
latch.backend = "exec"
latch.led = "latch"
latch.command = ["/bin/true"]
latch.release = ["/bin/true"]
latch.pulse = 1
latch.gap = 1
latch.test = true
latch.allow = ["anna"]
pam.timeout = 5.0
pam.never = ["sshd"]
policy.administrators = ["anna"]
policy.group = "g"
audiences.door = ["anna"]
"""
_LINES = tuple(f"{line}\n".encode() for line in _KEYS.split("\n") if line)


def _config_seeds() -> list[bytes]:
    return [b"".join(_LINES), b"", _EXAMPLE.read_bytes(), *_LINES]


def _table_seeds() -> list[bytes]:
    lines = (_CRYPTTAB, tables.FSTAB_LINE, "# facelatch", "swap /dev/sda1 /dev/urandom swap")
    return ["\n".join(lines).encode(), b"", *(f"{line}\n".encode() for line in (*lines, "facelatch UUID=1 none luks"))]


TARGETS = (
    Target(
        "config",
        "config",
        _config,
        (ConfigError,),
        _config_seeds,
        (
            *_LINES,
            b"nan",
            b"inf",
            b"[[",
            b'"""',
            b"[]",
            b"[latch]",
            b'""',
            b"1979-05-27",
            b"1_0e9",
            b"= {",
            b"}",
            b"[" * 64,
        ),
        8192,
        b"\n",
    ),
    Target(
        "parameters",
        "l2fe.parameters",
        _parameters,
        (ParameterSetError,),
        lambda: [case.file for case in parameter_cases.cases().values()],
        (*(f'"{name}":'.encode() for name in parameter_cases.small_set()), b"1e400", b"-1", b"AACAPw=="),
        2048,
    ),
    Target(
        "tables",
        "provisioning.tables",
        _tables,
        (ProvisionError,),
        _table_seeds,
        (b"facelatch", b"/var/lib/facelatch", b"UUID=0", b"none", b"luks,nofail", b"\xc2\x85", b"\xe2\x80\xa8"),
        512,
        b"\n",
    ),
)
