# SPDX-License-Identifier: Apache-2.0
"""The rotation is orthogonal, and the same to the last bit wherever this runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from facelatch.l2fe.rotation import rotation

FILE = json.loads((Path(__file__).parents[1] / "vectors" / "rotation.json").read_text())
VECTORS, REFUSED = FILE["vectors"], FILE["refused"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_matches_the_vector_file_bit_by_bit(vector: dict[str, object]) -> None:
    turned = rotation(bytes.fromhex(str(vector["seed"])), int(str(vector["k"])))
    assert [value.hex() for value in turned[0, :4].tolist()] == vector["first_row"]
    assert hashlib.sha256(turned.astype("<f8").tobytes()).hexdigest() == vector["sha256"]


def test_one_flipped_bit_of_the_seed_changes_every_row() -> None:
    other = rotation(b"\x01" + bytes(31), 48)
    assert np.abs(rotation(bytes(32), 48) - other).max(axis=1).min() > 0.01


def test_is_orthogonal_to_rounding() -> None:
    turned = rotation(bytes(range(32)), 48)
    assert np.abs(turned @ turned.T - np.eye(48)).max() < 1e-14


def test_turns_directions_evenly() -> None:
    # Over many seeds every entry of a uniform rotation has mean 0 and variance 1/k; 400 seeds bound both at 5 sigma.
    k, seeds = 8, 400
    entries = np.stack([rotation(bytes([i % 256, i // 256]) + bytes(30), k) for i in range(seeds)])
    assert np.abs(entries.mean(axis=0)).max() < 5 * np.sqrt(1 / k / seeds)
    assert np.abs((entries**2).mean(axis=0) - 1 / k).max() < 5 * np.sqrt(2) / k / np.sqrt(seeds)


@pytest.mark.parametrize("vector", REFUSED, ids=lambda vector: vector["name"])
def test_refuses_a_seed_of_another_length(vector: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        rotation(bytes.fromhex(str(vector["seed"])), int(str(vector["k"])))


def test_is_read_only_since_it_is_shared() -> None:
    with pytest.raises(ValueError, match="read-only"):
        rotation(bytes(32), 4)[0, 0] = 1
