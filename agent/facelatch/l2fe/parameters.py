# SPDX-License-Identifier: Apache-2.0
"""The public parameter set: everything Gen and Rep need that is the same for all people.

A hostile set could let anyone in (a projection of all zeros maps every face to one point), so a set is used only if its
sha256 is pinned here; the other checks catch mistakes of our own when a set is built.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from facelatch.errors import ParameterSetError
from facelatch.l2fe.keys import ARGON2ID_FLOOR, Argon2idCost
from facelatch.l2fe.lattice import Lattice
from facelatch.l2fe.population import Projection

FORMAT = "facelatch/parameters/2"
# A set is about 70 KB; more is not a parameter set.
MAX_BYTES = 1 << 20
_REMEDY = "reinstall facelatch, or rebuild the set with python -m tools.build_parameters"

# The sets this version accepts, by name.
PINNED = {
    "standard": "52ddc527b29a237f165a1aa44c6194b51834c42300b0b140b8865f5967c664e1",
    "strict": "b474ce2456c6b1889251c0e18465fbd52161fc814c49620864a09886b19fa0c5",
}

# Rounding noise is to be small beside the face's own (scale), the key long enough, residues to fit a u16.
_MIN_SCALE = 16.0
_MIN_KEY_BITS = 128.0
_MAX_MODULUS = 1 << 16
_MAX_DIMENSION = 256
# A vector six deviations out must not wrap round Q.
_WRAP_DEVIATIONS = 6.0
# Of the points that are near by chance, one in 2^5 lies within the early radius.
_EARLY_BITS = 5.0
# The projection of an honest population has condition number of about ten.
_MAX_CONDITION = 1e3


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file: JSON, arrays as base64 of little-endian values in row order."""

    format: str
    name: str
    encoders: list[str]
    block: int
    copies: int
    modulus: int
    scale: float
    beam: int
    accept_radius: float
    far_exponent: float
    argon2id_passes: int
    argon2id_memory_kib: int
    mean: str
    projection: str
    spread: str
    basis: str
    measured: dict[str, str | float]


@dataclass(frozen=True)
class ParameterSet:
    """A checked parameter set.

    Attributes:
        name: what people call it.
        digest: sha256 of its file, 32 bytes; part of every key made under it.
        encoders: sha256 (hex) of the encoder models it was fitted to.
        projection: P and mu.
        spread: (k,) float64, deviation of each coordinate over people, of enrolment vectors as Gen makes them.
        lattice: L.
        scale: D, lattice units for one within-person deviation.
        beam: partial points the decoder keeps.
        accept_radius: largest distance of a match, in within-person deviations.
        far_exponent: false accepts grow at least as the radius to this power.
        argon2id: cost of one guess.
        measured: figures it was measured at, for people.
    """

    name: str
    digest: bytes
    encoders: tuple[str, ...]
    projection: Projection
    spread: npt.NDArray[np.float64]
    lattice: Lattice
    scale: float
    beam: int
    accept_radius: float
    far_exponent: float
    argon2id: Argon2idCost
    measured: dict[str, str | float]

    @property
    def k(self) -> int:
        """Dimension of the lattice."""
        return self.lattice.dimension

    @property
    def cell(self) -> float:
        """v: side of the lattice's cell in within-person deviations."""
        return self.lattice.side / self.scale

    def radius(self, users: int, *, early: bool = False) -> float:
        """Return the largest distance of a match when an attempt may match any of so many users.

        It shrinks so that an attempt's false accepts over all of them stay those of one. Where more looks are to come,
        it is smaller by ``_EARLY_BITS`` of volume: a point at the edge is seldom the true one, and guesses are few.
        """
        bits = _EARLY_BITS / self.k if early else 0.0
        return self.accept_radius * float(max(users, 1) ** (-1 / self.far_exponent)) * 2**-bits


def load(name: str, data: bytes) -> ParameterSet:
    """Read the parameter set of that name from the bytes of its file.

    Raises:
        ParameterSetError: the bytes are not those pinned for that name, or fail a check.
    """
    pinned = PINNED.get(name)
    if pinned is None:
        raise ParameterSetError(f"there is no parameter set {name!r}", f"use one of {', '.join(sorted(PINNED))}")
    digest = hashlib.sha256(data).hexdigest()
    if digest != pinned:
        raise ParameterSetError(f"parameter set {name!r} has hash {digest[:16]}..., not the pinned one", _REMEDY)
    return parse(data)


def parse(data: bytes) -> ParameterSet:
    """Read a parameter set and check all that can be checked of it, but not its pin.

    Raises:
        ParameterSetError: naming the field and the bound it breaks.
    """
    if len(data) > MAX_BYTES:
        raise ParameterSetError("the parameter set is too large", _REMEDY)
    try:
        wire = msgspec.json.decode(data, type=Wire)
    except ValueError as error:  # msgspec's own, and what it lets through of text that is not UTF-8
        raise ParameterSetError(f"the parameter set cannot be read ({error})", _REMEDY) from error
    _require(wire.format == FORMAT, "format", f"is not {FORMAT}")
    k, modulus = wire.block * wire.copies, wire.modulus
    _require(wire.block > 1 and wire.copies > 0 and k <= _MAX_DIMENSION, "block, copies", "are too small or too many")
    _require(1 < modulus <= _MAX_MODULUS and modulus & (modulus - 1) == 0, "modulus", "is no power of two up to 2^16")
    _require(math.isfinite(wire.scale) and wire.scale >= _MIN_SCALE, "scale", f"is under {_MIN_SCALE:.0f}")
    _require(1 <= wire.beam <= 1 << 16, "beam", "is not between 1 and 65536")
    cost = Argon2idCost(passes=wire.argon2id_passes, memory_kib=wire.argon2id_memory_kib)
    floor = ARGON2ID_FLOOR
    _require(cost.passes >= floor.passes and cost.memory_kib >= floor.memory_kib, "argon2id", "is under the floor")

    mean = _array(wire.mean, "<f4", "mean")
    # Else several faces would have one projection, and the singular values below would not show it.
    _require(len(mean) >= k, "mean", "has fewer values than the lattice has dimensions")
    matrix = _array(wire.projection, "<f4", "projection", (k, len(mean)))
    spread = _array(wire.spread, "<f4", "spread", (k,))
    basis = _array(wire.basis, "<i2", "basis", (wire.block, wire.block)).astype(np.int64)
    lattice = Lattice(basis, wire.copies, modulus)
    _require(lattice.is_whole_modulo(), "basis, modulus", "do not make a lattice with Q Z^k inside")
    _require(lattice.key_bits >= _MIN_KEY_BITS, "basis, modulus", f"give a key of under {_MIN_KEY_BITS:.0f} bits")
    singular = np.linalg.svd(matrix, compute_uv=False)
    _require(singular[-1] > 0 and singular[0] / singular[-1] <= _MAX_CONDITION, "projection", "is ill-conditioned")
    _require(float(spread.min()) > 0, "spread", "has a coordinate without any")
    _require(_WRAP_DEVIATIONS * wire.scale * float(spread.max()) < modulus / 2, "scale, spread", "wrap round Q")
    # Beyond the radius of a ball of the cell's volume nearly every target has several lattice points about it.
    ball = math.sqrt(k / (2 * math.pi * math.e)) * lattice.side / wire.scale
    _require(0 < wire.accept_radius <= 1.1 * ball, "accept_radius", "is too large")
    _require(1 <= wire.far_exponent <= k, "far_exponent", "is not between 1 and k")
    return ParameterSet(
        name=wire.name,
        digest=hashlib.sha256(data).digest(),
        encoders=tuple(wire.encoders),
        projection=Projection(mean=mean, matrix=matrix),
        spread=spread,
        lattice=lattice,
        scale=wire.scale,
        beam=wire.beam,
        accept_radius=wire.accept_radius,
        far_exponent=wire.far_exponent,
        argon2id=cost,
        measured=wire.measured,
    )


def pack(array: npt.ArrayLike, dtype: str) -> str:
    """Write an array as the file has it."""
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode("ascii")


def _array(text: str, dtype: str, field: str, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.float64]:
    try:
        flat = np.frombuffer(base64.b64decode(text, validate=True), dtype=dtype).astype(np.float64)
        array = flat if shape is None else flat.reshape(shape)
    except ValueError as error:
        raise ParameterSetError(f"{field} in the parameter set has the wrong size", _REMEDY) from error
    _require(array.size > 0 and bool(np.all(np.isfinite(array))), field, "is empty or not finite")
    return array


def _require(holds: bool, field: str, problem: str) -> None:
    if not holds:
        raise ParameterSetError(f"{field} in the parameter set {problem}", _REMEDY)
