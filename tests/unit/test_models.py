# SPDX-License-Identifier: Apache-2.0
"""The shipped models: each is the one in the manifest, or is refused by name."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facelatch import models
from facelatch.errors import ModelError
from facelatch.models import DETECTOR, ENCODER, MESH, MODELS_DIR, SECOND_ENCODER, Tensor, manifest, read_model

NAMES = (DETECTOR, MESH, ENCODER, SECOND_ENCODER)


def test_manifest_lists_exactly_the_files_that_ship() -> None:
    shipped = {path.name for path in MODELS_DIR.glob("*.tflite")}
    assert shipped == manifest().models.keys()
    assert shipped >= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_file_has_the_hash_in_the_manifest(name: str) -> None:
    data = read_model(name)
    assert hashlib.sha256(data).hexdigest() == manifest().models[name].sha256
    assert len(data) == manifest().models[name].bytes


@pytest.mark.parametrize("name", NAMES)
def test_model_loads_with_the_shapes_in_the_manifest(name: str) -> None:
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = runtime.Interpreter(model_content=read_model(name), num_threads=1)
    interpreter.allocate_tensors()
    entry = manifest().models[name]
    assert _described(interpreter.get_input_details()) == entry.inputs
    assert _described(interpreter.get_output_details()) == entry.outputs


def test_copied_models_are_the_source_itself() -> None:
    for name in (DETECTOR, MESH):
        assert manifest().models[name].sha256 == manifest().models[name].source.sha256


def test_manifest_says_what_the_encoder_was_trained_on() -> None:
    entry = manifest().models[ENCODER]
    assert "MS1M" in entry.training_data
    assert "MobileFaceNet_TF" in entry.licence


def test_manifest_says_what_is_not_known_of_the_second_encoder() -> None:
    entry = manifest().models[SECOND_ENCODER]
    assert "not disclosed" in entry.training_data
    assert "gitguanqi" in entry.licence


@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(name)):
        read_model(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_truncated_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(read_model(name)[:-1])
    with pytest.raises(ModelError, match=re.escape(name)):
        read_model(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_bit_is_refused_by_name(name: str, tmp_path: Path) -> None:
    data = bytearray(read_model(name))
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=re.escape(name)):
        read_model(name, tmp_path)


def test_one_model_does_not_pass_for_another(tmp_path: Path) -> None:
    (tmp_path / ENCODER).write_bytes(read_model(MESH))
    with pytest.raises(ModelError, match="encoder"):
        read_model(ENCODER, tmp_path)


def test_a_manifest_beside_foreign_models_is_not_believed(tmp_path: Path) -> None:
    foreign = b"\x00" * manifest().models[ENCODER].bytes
    pinned = (MODELS_DIR / models.MANIFEST_NAME).read_text()
    forged = pinned.replace(manifest().models[ENCODER].sha256, hashlib.sha256(foreign).hexdigest())
    (tmp_path / models.MANIFEST_NAME).write_text(forged)
    (tmp_path / ENCODER).write_bytes(foreign)
    with pytest.raises(ModelError, match="not the one in the manifest"):
        read_model(ENCODER, tmp_path)


@pytest.mark.parametrize("name", ["other.tflite", "../models/encoder.tflite", models.MANIFEST_NAME, ""])
def test_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="no model named"):
        read_model(name)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"version": 1, "models": {"a": {}}}'])
def test_missing_or_malformed_manifest_is_refused(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / models.MANIFEST_NAME).write_bytes(content)
    monkeypatch.setattr(models, "MODELS_DIR", tmp_path)
    with pytest.raises(ModelError, match="manifest"):
        manifest.__wrapped__()


def _described(details: list[dict[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name=one["name"], shape=tuple(map(int, one["shape"])), dtype=np.dtype(one["dtype"]).name)
        for one in details
    )
