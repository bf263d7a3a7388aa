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
from facelatch.l2fe import lattice, parameters
from facelatch.models import ENCODER, manifest

FILE = shipped.DIRECTORY / "standard.json"


def test_the_shipped_set_is_the_pinned_one_and_fits_the_shipped_encoder() -> None:
    p = shipped.read("standard")
    assert (p.k, p.n, p.q) == (48, 24, 12289)
    assert manifest().models[ENCODER].sha256 in p.encoders
    assert lattice.generates(p.basis, p.x, p.q)


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
    wire["projection"] = parameters.pack(np.zeros((48, 192)), "<f4")


def sublattice(wire: dict[str, Any]) -> None:
    basis = shipped.read("standard").basis.copy()
    basis[0] *= 2
    wire["basis"] = parameters.pack(basis, "<i2")


def not_finite(wire: dict[str, Any]) -> None:
    wire["mean"] = parameters.pack(np.full(192, np.nan), "<f4")


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda wire: wire.update(changes)


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (zero_projection, "projection"),
        (sublattice, "basis"),
        (not_finite, "mean"),
        (change(argon2id_passes=1), "argon2id"),
        (change(argon2id_memory_kib=1024), "argon2id"),
        (change(accept_radius=40.0), "accept_radius"),
        (change(accept_radius=-1.0), "accept_radius"),
        (change(scale=1.0), "scale"),
        (change(scale=1e6), "scale"),
        (change(q=12288), "^q in"),
        (change(n=2), "n, q"),
        (change(k=4096), "n, k"),
        (change(beam=0), "beam"),
        (change(lattice_seed="00"), "basis"),
        (change(lattice_seed="xy"), "lattice_seed"),
        (change(format="facelatch/parameters/2"), "format"),
        (change(spread=""), "spread"),
        (change(basis="AAAA"), "basis"),
        (change(surprise=1), "surprise"),
        (change(k="48"), "k"),
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
