# SPDX-License-Identifier: Apache-2.0
"""Rotations and parameter sets: the product and the second implementation, from docs/crypto.md alone, say the same."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from facelatch import parameters
from facelatch.errors import ParameterSetError
from facelatch.l2fe import parameters as l2fe_parameters
from facelatch.l2fe.rotation import rotation
from tests.reference_lattice import Reason, RefusedError, parse_parameters
from tests.reference_lattice import rotation as reference_rotation
from tests.vector_base import PARAMETERS
from tests.vector_base import parameters as reference_parameters

P = parameters.read("standard")
ROTATIONS = json.loads((PARAMETERS.parents[3] / "tests/vectors/rotation.json").read_text())


@given(seed=st.binary(min_size=32, max_size=32), k=st.integers(2, 12))
@example(seed=b"\x55" * 32, k=48)
@settings(deadline=None)
def test_rotations_agree_bit_by_bit(seed: bytes, k: int) -> None:
    slow = b"".join(struct.pack(f"<{k}d", *row) for row in reference_rotation(seed, k))
    assert rotation(seed, k).astype("<f8").tobytes() == slow


def test_the_second_rotation_matches_the_vector_file() -> None:
    for vector in ROTATIONS["vectors"]:
        u = reference_rotation(bytes.fromhex(vector["seed"]), vector["k"])
        assert [value.hex() for value in u[0][:4]] == vector["first_row"]
        packed = b"".join(struct.pack(f"<{len(row)}d", *row) for row in u)
        assert hashlib.sha256(packed).hexdigest() == vector["sha256"]


@pytest.mark.parametrize("vector", ROTATIONS["refused"], ids=lambda vector: vector["name"])
def test_the_second_rotation_refuses_what_the_product_does(vector: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        reference_rotation(bytes.fromhex(vector["seed"]), vector["k"])
    assert refused.value.reason is Reason.SEED


def test_the_shipped_parameter_set_reads_the_same() -> None:
    slow = reference_parameters()
    assert slow.digest == P.digest
    assert (slow.block, slow.copies, slow.modulus) == (len(P.lattice.basis), P.lattice.copies, P.lattice.modulus)
    assert (slow.scale, slow.accept_radius, slow.far_exponent) == (P.scale, P.accept_radius, P.far_exponent)
    assert (slow.passes, slow.memory_kib) == (P.argon2id.passes, P.argon2id.memory_kib)
    assert slow.basis == P.lattice.basis.tolist()
    assert slow.spread == P.spread.tolist()
    assert (slow.mean, slow.projection) == (P.projection.mean.tolist(), P.projection.matrix.tolist())


@given(drawn=st.binary(min_size=2 * P.k, max_size=2 * P.k))
@settings(deadline=None)
def test_points_agree(drawn: bytes) -> None:
    slow = reference_parameters()
    coefficients = [value % slow.modulus for (value,) in struct.iter_unpack("<H", drawn)]
    assert slow.point(coefficients) == P.lattice.draw(lambda size: drawn[:size]).tolist()


@pytest.mark.parametrize("users", [1, 2, 100, 1000])
def test_radii_agree(users: int) -> None:
    assert reference_parameters().radius(users) == pytest.approx(P.radius(users))


def zeros(field: str, count: int) -> Callable[[dict[str, Any]], None]:
    return lambda wire: wire.update({field: base64.b64encode(bytes(count)).decode()})


def vector_outside(wire: dict[str, Any]) -> None:
    basis = np.frombuffer(base64.b64decode(wire["basis"]), dtype="<i2").copy()
    basis[0] += 1
    wire["basis"] = base64.b64encode(basis.tobytes()).decode()


def infinite_mean(wire: dict[str, Any]) -> None:
    wire["mean"] = base64.b64encode(b"\x00\x00\x80\x7f" * len(P.projection.mean)).decode()


def short_key(wire: dict[str, Any]) -> None:
    wire["basis"] = base64.b64encode((2048 * np.eye(24)).astype("<i2").tobytes()).decode()


MISTAKES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another format": lambda wire: wire.update(format="facelatch/parameters/1"),
    "one copy": lambda wire: wire.update(copies=1),
    "no copy": lambda wire: wire.update(copies=0),
    "eleven copies": lambda wire: wire.update(copies=11),
    "another block": lambda wire: wire.update(block=48),
    "modulus not a power of two": lambda wire: wire.update(modulus=4608),
    "modulus of one": lambda wire: wire.update(modulus=1),
    "modulus not in the lattice": lambda wire: wire.update(modulus=256),
    "short key": short_key,
    "vector outside": vector_outside,
    "coarse": lambda wire: wire.update(scale=15.9),
    "wraps": lambda wire: wire.update(scale=P.scale * 4),
    "wide": lambda wire: wire.update(accept_radius=1.2 * P.accept_radius),
    "cheap in time": lambda wire: wire.update(argon2id_passes=2),
    "cheap in memory": lambda wire: wire.update(argon2id_memory_kib=65535),
    "projection of zeros": zeros("projection", P.projection.matrix.size * 4),
    "short projection": zeros("projection", P.projection.matrix.size * 4 - P.k * 4),
    "infinite mean": lambda wire: wire.update(
        mean=base64.b64encode(b"\x00\x00\x80\x7f" * len(P.projection.mean)).decode()
    ),
    "degenerate": zeros("basis", 24 * 24 * 2),
    "no exponent": lambda wire: wire.update(far_exponent=0.5),
    "exponent beyond k": lambda wire: wire.update(far_exponent=P.k + 1.0),
    "no spread": zeros("spread", P.k * 4),
    "no beam": lambda wire: wire.update(beam=0),
    "no radius": lambda wire: wire.update(accept_radius=0.0),
    "another field": lambda wire: wire.update(more=1),
    "missing field": lambda wire: wire.pop("measured"),
    "text for a number": lambda wire: wire.update(block="24"),
    "large": lambda wire: wire.update(name="a" * 2**20),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_both_refuse_a_parameter_set_with_a_mistake(mistake: Callable[[dict[str, Any]], None]) -> None:
    wire = json.loads(PARAMETERS.read_bytes())
    mistake(wire)
    data = json.dumps(wire).encode()
    with pytest.raises(ParameterSetError):
        l2fe_parameters.parse(data)
    with pytest.raises(RefusedError):
        parse_parameters(data, hashlib.sha256(data).digest())


def test_both_refuse_a_parameter_set_that_is_not_pinned() -> None:
    data = PARAMETERS.read_bytes() + b"\n"
    with pytest.raises(ParameterSetError):
        l2fe_parameters.load("standard", data)
    with pytest.raises(RefusedError) as refused:
        parse_parameters(data, P.digest)
    assert refused.value.reason is Reason.PARAMETERS
