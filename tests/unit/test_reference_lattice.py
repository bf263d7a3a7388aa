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
from facelatch.l2fe import lattice
from facelatch.l2fe import parameters as l2fe_parameters
from facelatch.l2fe.rotation import rotation
from tests.reference_lattice import Reason, RefusedError, expand_x, parse_parameters
from tests.reference_lattice import rotation as reference_rotation
from tests.vector_base import PARAMETERS
from tests.vector_base import parameters as reference_parameters

P = parameters.read("standard")


@given(seed=st.binary(min_size=32, max_size=32), k=st.integers(2, 12))
@example(seed=b"\x55" * 32, k=48)
@settings(deadline=None)
def test_rotations_agree_bit_by_bit(seed: bytes, k: int) -> None:
    slow = b"".join(struct.pack(f"<{k}d", *row) for row in reference_rotation(seed, k))
    assert rotation(seed, k).astype("<f8").tobytes() == slow


def test_the_second_rotation_matches_the_vector_file() -> None:
    for vector in json.loads((PARAMETERS.parents[3] / "tests/vectors/rotation.json").read_text())["vectors"]:
        u = reference_rotation(bytes.fromhex(vector["seed"]), vector["k"])
        assert [value.hex() for value in u[0][:4]] == vector["first_row"]
        packed = b"".join(struct.pack(f"<{len(row)}d", *row) for row in u)
        assert hashlib.sha256(packed).hexdigest() == vector["sha256"]


def test_the_shipped_parameter_set_reads_the_same() -> None:
    slow = reference_parameters()
    assert slow.digest == P.digest
    assert (slow.k, slow.n, slow.q, slow.scale, slow.accept_radius) == (P.k, P.n, P.q, P.scale, P.accept_radius)
    assert (slow.passes, slow.memory_kib) == (P.argon2id.passes, P.argon2id.memory_kib)
    assert (slow.x, slow.basis) == (P.x.tolist(), P.basis.tolist())
    assert slow.spread == P.spread.tolist()
    assert (slow.mean, slow.projection) == (P.projection.mean.tolist(), P.projection.matrix.tolist())


@given(seed=st.binary(max_size=40), q=st.sampled_from([17, 257, 12289, 65521]))
@settings(deadline=None)
def test_expansions_of_x_agree(seed: bytes, q: int) -> None:
    assert expand_x(seed, 9, 4, q) == lattice.expand(seed, 9, 4, q).tolist()


def zeros(field: str, count: int) -> Callable[[dict[str, Any]], None]:
    return lambda wire: wire.update({field: base64.b64encode(bytes(count)).decode()})


def doubled_row(wire: dict[str, Any]) -> None:
    basis = np.frombuffer(base64.b64decode(wire["basis"]), dtype="<i2").copy()
    basis[: wire["k"]] *= 2
    wire["basis"] = base64.b64encode(basis.tobytes()).decode()


MISTAKES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another format": lambda wire: wire.update(format="facelatch/parameters/2"),
    "n as large as k": lambda wire: wire.update(n=48),
    "q not prime": lambda wire: wire.update(q=12291),
    "another prime": lambda wire: wire.update(q=12301),
    "short key": lambda wire: wire.update(n=9),
    "coarse": lambda wire: wire.update(scale=15.9),
    "wraps": lambda wire: wire.update(scale=20.6243 * 20),
    "wide": lambda wire: wire.update(accept_radius=10.0),
    "cheap in time": lambda wire: wire.update(argon2id_passes=2),
    "cheap in memory": lambda wire: wire.update(argon2id_memory_kib=65535),
    "another lattice": lambda wire: wire.update(lattice_seed="00"),
    "projection of zeros": zeros("projection", 48 * 192 * 4),
    "short projection": zeros("projection", 48 * 191 * 4),
    "infinite mean": lambda wire: wire.update(mean=base64.b64encode(b"\x00\x00\x80\x7f" * 192).decode()),
    "sublattice": doubled_row,
    "no spread": zeros("spread", 48 * 4),
    "no beam": lambda wire: wire.update(beam=0),
    "no radius": lambda wire: wire.update(accept_radius=0.0),
    "another field": lambda wire: wire.update(more=1),
    "missing field": lambda wire: wire.pop("measured"),
    "text for a number": lambda wire: wire.update(k="48"),
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
