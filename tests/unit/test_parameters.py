# SPDX-License-Identifier: Apache-2.0
"""Only pinned parameter sets are used, and a set that could let anyone in is refused for what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelatch import parameters as shipped
from facelatch.errors import ParameterSetError
from facelatch.l2fe import parameters
from facelatch.shipped import encoder_digests
from tools import build_parameters, leech

FILE = shipped.DIRECTORY / "standard.json"


def test_the_shipped_set_is_the_pinned_one_and_fits_the_shipped_encoder() -> None:
    p = shipped.read("standard")
    assert (p.k, p.lattice.copies, p.lattice.modulus) == (72, 3, 4096)
    assert encoder_digests() == p.encoders


def test_the_shipped_lattice_is_the_leech_lattice_all_of_it() -> None:
    p = shipped.read("standard")
    basis, rest = np.divmod(p.lattice.basis, build_parameters.UNIT)
    assert not rest.any()
    assert leech.contains(basis).all()
    assert p.lattice.side == pytest.approx(build_parameters.UNIT * leech.SIDE)


def test_the_radius_shrinks_so_that_more_users_are_no_more_false_accepts() -> None:
    p = shipped.read("standard")
    assert p.radius(1) == p.radius(0) == p.accept_radius
    for users in (2, 10, 1000):
        assert users * (p.radius(users) / p.accept_radius) ** p.far_exponent == pytest.approx(1)


def test_an_early_look_must_lie_in_a_ball_of_a_thirty_second_of_the_volume() -> None:
    p = shipped.read("standard")
    assert (p.radius(3, early=True) / p.radius(3)) ** p.k == pytest.approx(1 / 32)


def test_one_changed_byte_is_refused_by_name(tmp_path: Path) -> None:
    data = bytearray(FILE.read_bytes())
    data[-2] ^= 1
    (tmp_path / "standard.json").write_bytes(data)
    with pytest.raises(ParameterSetError, match="'standard'"):
        shipped.read("standard", tmp_path)


def test_an_unknown_or_missing_set_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ParameterSetError, match="'loose'"):
        shipped.read("loose")
    with pytest.raises(ParameterSetError, match="'standard'"):
        shipped.read("standard", tmp_path)


def zero_projection(wire: dict[str, Any]) -> None:
    wire["projection"] = parameters.pack(0 * shipped.read("standard").projection.matrix, "<f4")


def vector_outside(wire: dict[str, Any]) -> None:
    basis = shipped.read("standard").lattice.basis.copy()
    basis[0, 0] += 1
    wire["basis"] = parameters.pack(basis, "<i2")


def degenerate(wire: dict[str, Any]) -> None:
    basis = shipped.read("standard").lattice.basis.copy()
    basis[1] = basis[0]
    wire["basis"] = parameters.pack(basis, "<i2")


def few_points(wire: dict[str, Any]) -> None:
    """The lattice 2048 Z^24 has two residues in each coordinate modulo 4096, so 72 bits of key."""
    wire["basis"] = parameters.pack(2048 * np.eye(24), "<i2")


def not_finite(wire: dict[str, Any]) -> None:
    wire["mean"] = parameters.pack(np.nan * shipped.read("standard").projection.mean, "<f4")


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda wire: wire.update(changes)


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (zero_projection, "projection"),
        (vector_outside, "basis"),
        (degenerate, "basis"),
        (few_points, "key of under 128"),
        (not_finite, "mean"),
        (change(argon2id_passes=1), "argon2id"),
        (change(argon2id_memory_kib=1024), "argon2id"),
        (change(accept_radius=40.0), "accept_radius"),
        (change(accept_radius=-1.0), "accept_radius"),
        (change(scale=1.0), "scale"),
        (change(scale=1e6), "scale"),
        (change(modulus=4097), "^modulus in"),
        (change(modulus=1 << 17), "^modulus in"),
        (change(modulus=256), "basis, modulus"),
        (change(block=1), "^block, copies in"),
        (change(copies=11), "^block, copies in"),
        (change(copies=-2), "^block, copies in"),
        (change(far_exponent=0.5), "far_exponent"),
        (change(far_exponent=100.0), "far_exponent"),
        (change(beam=0), "beam"),
        (change(lattice_seed="00"), "lattice_seed"),
        (change(format="facelatch/parameters/1"), "format"),
        (change(spread=""), "spread"),
        (change(basis="AAAA"), "basis"),
        (change(surprise=1), "surprise"),
        (change(block="24"), "block"),
    ],
)
def test_a_hostile_set_is_refused_for_what_is_wrong(spoil: Callable[[dict[str, Any]], None], field: str) -> None:
    wire = json.loads(FILE.read_bytes())
    spoil(wire)
    with pytest.raises(ParameterSetError, match=field):
        parameters.parse(json.dumps(wire).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff", b" " * (1 << 21)])
def test_what_is_no_parameter_set_is_refused(data: bytes) -> None:
    with pytest.raises(ParameterSetError):
        parameters.parse(data)
