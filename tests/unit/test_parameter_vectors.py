# SPDX-License-Identifier: Apache-2.0
"""Every file in tests/vectors/parameters/, through the product and through the second implementation."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from facelatch.errors import ParameterSetError
from facelatch.l2fe import parameters
from tests.reference_lattice import RefusedError, parse_parameters


class Vector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file."""

    about: str
    expect: str
    file: str


FILES = sorted((Path(__file__).parents[1] / "vectors" / "parameters").glob("*.json"))
VECTORS = {path.stem: msgspec.json.decode(path.read_bytes(), type=Vector) for path in FILES}
_SOURCE = Path(parameters.__file__).read_text()


@pytest.mark.parametrize("name", VECTORS)
def test_the_product_accepts_or_refuses_and_names_the_field(name: str) -> None:
    vector = VECTORS[name]
    data = bytes.fromhex(vector.file)
    if vector.expect == "accepted":
        assert parameters.parse(data).digest == hashlib.sha256(data).digest()
        return
    with pytest.raises(ParameterSetError) as refusal:
        parameters.parse(data)
    named, _, _ = refusal.value.problem.partition(" in the parameter set")
    assert vector.expect == named or vector.expect in refusal.value.problem.partition("parameter set ")[2]


@pytest.mark.parametrize("name", VECTORS)
def test_the_second_implementation_agrees(name: str) -> None:
    data = bytes.fromhex(VECTORS[name].file)
    try:
        parse_parameters(data, hashlib.sha256(data).digest())
        accepted = True
    except (RefusedError, ValueError, AttributeError):  # it does not put what JSON itself refuses into words
        accepted = False
    assert accepted == (VECTORS[name].expect == "accepted")


@pytest.mark.parametrize("name", VECTORS)
def test_no_vector_is_a_set_that_is_shipped(name: str) -> None:
    for shipped in parameters.PINNED:
        with pytest.raises(ParameterSetError, match="not the pinned one"):
            parameters.load(shipped, bytes.fromhex(VECTORS[name].file))


def test_every_check_of_the_product_has_a_vector_that_meets_it() -> None:
    checks = set(re.findall(r'_require\([^"]*"([a-z0-9_, ]+)", f?"', _SOURCE))
    checks |= set(re.findall(r'_array\(wire\.\w+, "[^"]*", "(\w+)"', _SOURCE))
    assert len(checks) >= 12
    assert checks <= {vector.expect for vector in VECTORS.values()}
