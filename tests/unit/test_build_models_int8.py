# SPDX-License-Identifier: Apache-2.0
"""The int8 encoder's builder rounds as it should, and the tool that measures it counts as it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from facelatch.errors import ModelError
from facelatch.models import ENCODER, SECOND_ENCODER, read_model
from facelatch.shipped import ENCODERS

pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from tests.unit.test_build_models import DEPTH, SIDE, Network, rewritten, run, small_encoder  # noqa: E402
from tools.build_models import graph, measure  # noqa: E402
from tools.build_models.encoder import require_agreement, sample_images  # noqa: E402
from tools.build_models.encoder import run as run_encoder  # noqa: E402
from tools.build_models.int8 import quantise, quantise_convolutions  # noqa: E402
from tools.build_models.recipes import RECIPES  # noqa: E402
from tools.dataset import DatasetError  # noqa: E402

RATE = 1e-3


def quantised(data: bytes) -> tuple[bytes, int]:
    model = graph.load(data)
    count = quantise_convolutions(model)
    graph.prune(model)
    return graph.dump(model), count


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_weights_are_rounded_to_the_nearest_step_of_their_channel(seed: int, size: float) -> None:
    weights = (np.random.default_rng(seed).normal(size=(5, 3, 3, 4)) * size).astype(np.float32)
    weights[1] *= np.float32(1e-3)
    weights[2] = 0
    values, scales = quantise(weights)
    assert (values.dtype.name, values.shape) == ("int8", weights.shape)
    assert (scales.dtype.name, scales.shape) == ("float32", (5,))
    assert np.abs(values.astype(int)).reshape(5, -1).max(axis=1).tolist() == [127, 127, 0, 127, 127]
    steps = scales[:, None, None, None].astype(np.float64)
    assert bool((np.abs(values * steps - weights) <= steps * (0.5 + 1e-6)).all())


def test_weights_too_small_for_a_scale_become_nothing() -> None:
    least = np.finfo(np.float32).smallest_subnormal
    weights = np.array([[0, least], [100 * least, 0], [1e-37, -1e-37], [1e-30, 0]], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        values, scales = quantise(weights)
    assert values.tolist() == [[0, 0], [0, 0], [0, 0], [127, 0]]
    assert bool((scales >= np.finfo(np.float32).tiny).all())


def test_int8_network_computes_nearly_the_same() -> None:
    before, _ = rewritten(small_encoder())
    after, count = quantised(before)
    assert count == 3
    images = np.random.default_rng(1).normal(size=(20, 1, SIDE, SIDE, DEPTH)).astype(np.float32)
    expected, found = (np.concatenate([run(data, image) for image in images]) for data in (before, after))
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert 0 < error < 0.02


def test_int8_network_has_the_same_operators_and_no_float_weights_left() -> None:
    before, _ = rewritten(small_encoder())
    model = graph.load(quantised(before)[0])
    assert graph.op_counts(model) == graph.op_counts(graph.load(before))
    for operator in model.subgraphs[0].operators:
        if graph.op_name(model, operator) == "CONV_2D":
            kernel = model.subgraphs[0].tensors[operator.inputs[1]]
            assert kernel.type == schema.TensorType.INT8
            assert len(kernel.quantization.scale) == len(kernel.quantization.zeroPoint) == kernel.shape[0]
            assert model.operatorCodes[operator.opcodeIndex].version == 5
    kept = [tensor.shape for tensor in model.subgraphs[0].tensors if tensor.type == schema.TensorType.FLOAT32]
    assert not any(len(shape) == 4 and shape[0] != 1 for shape in kept)


def test_int8_build_is_deterministic_and_a_second_pass_finds_nothing() -> None:
    before, _ = rewritten(small_encoder())
    once, again = quantised(before)[0], quantised(before)[0]
    assert once == again
    assert quantised(once) == (once, 0)


def test_depthwise_convolutions_stay_float() -> None:
    net = Network()
    source = net.value(1, SIDE, SIDE, DEPTH)
    options = schema.DepthwiseConv2DOptionsT()
    options.strideW = options.strideH = options.depthMultiplier = 1
    weights = [net.weights(1, SIDE, SIDE, DEPTH), net.weights(DEPTH)]
    result = net.add(schema.BuiltinOperator.DEPTHWISE_CONV_2D, [source, *weights], (1, SIDE, SIDE, DEPTH), options)
    data = net.finish(source, result)
    assert quantised(data)[1] == 0


def test_an_encoder_that_computes_something_else_is_refused() -> None:
    data = read_model(ENCODER)
    images = sample_images()
    expected = run_encoder(data, images)
    require_agreement(expected, expected, 1 - 1e-9)
    model = graph.load(data)
    last = [operator for operator in model.subgraphs[0].operators if graph.op_name(model, operator) == "CONV_2D"][-1]
    bias = graph.constant(model, int(last.inputs[2]))
    last.inputs = np.array([*last.inputs[:2], graph.add_constant(model, "bias", bias[::-1] + 1)], dtype=np.int32)
    with pytest.raises(ModelError, match="differs"):
        require_agreement(expected, run_encoder(graph.dump(model), images), 0.985)


def embeddings(people: NDArray[np.int64], noise: float) -> NDArray[np.float32]:
    """A direction for each person, and every image near it."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(int(people.max()) + 1, 16))
    points = centres[people] + noise * random.normal(size=(len(people), 16))
    lengths: NDArray[np.float64] = np.linalg.norm(points, axis=1, keepdims=True)
    return (points / lengths).astype(np.float32)


PEOPLE = np.arange(120).repeat(np.arange(120) % 3 + 1)


def test_true_accepts_are_what_counting_pair_by_pair_gives() -> None:
    vectors = embeddings(PEOPLE, 0.9)
    scores = measure.score(vectors, PEOPLE)
    cosines, same = vectors @ vectors.T, PEOPLE[:, None] == PEOPLE
    upper = np.triu(np.ones_like(same), 1)
    others = np.sort(cosines[upper & ~same])[::-1]
    threshold = others[int(RATE * len(others))]
    shares = [
        float((cosines[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)] > threshold).mean())
        for rows in (np.flatnonzero(person == PEOPLE) for person in range(120))
        if len(rows) > 1
    ]
    assert 0.2 < np.mean(shares) < 0.98
    assert scores.true_accepts(RATE, np.ones(120)) == pytest.approx(np.mean(shares))


def test_a_person_drawn_twice_counts_twice_and_one_not_drawn_not_at_all() -> None:
    scores = measure.score(embeddings(PEOPLE, 0.9), PEOPLE)
    weights = np.zeros(120)
    weights[:60] = 2
    half = PEOPLE[PEOPLE < 60]
    alone = measure.score(embeddings(PEOPLE, 0.9)[PEOPLE < 60], half)
    assert scores.true_accepts(RATE, weights) == pytest.approx(alone.true_accepts(RATE, np.ones(60)))


def test_the_difference_between_an_encoder_and_itself_is_nothing_and_to_a_worse_one_is_below_nothing() -> None:
    good, bad = (measure.score(embeddings(PEOPLE, noise), PEOPLE) for noise in (0.5, 1.2))
    assert measure.difference(good, good, RATE, draws=20) == (0, 0, 0)
    change, low, high = measure.difference(good, bad, RATE, draws=20)
    assert low < change < 0
    assert high < 0


def test_clock_times_every_model() -> None:
    times = measure.clock({"two": small_encoder(), "one": rewritten(small_encoder())[0]}, rounds=3)
    assert set(times) == {"one", "two"}
    assert all(value > 0 for value in times.values())


def test_report_compares_the_two_builds_of_each_encoder_on_the_faces_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noise = np.random.default_rng(4).integers(0, 256, (40, 112, 112, 3), dtype=np.uint8)
    faces = [(f"person {number // 2}", crop) for number, crop in enumerate(noise)]
    files = {RECIPES[name].source: read_model(name) for name in ENCODERS}
    built = {name: replace(RECIPES[name], rewrite=bytes, store=bytes) for name in ENCODERS}
    monkeypatch.setattr(measure, "RECIPES", built)
    monkeypatch.setattr(measure, "clock", lambda models: dict.fromkeys(models, 2.0))
    monkeypatch.setattr(measure, "crops", lambda _: iter(faces))
    lines = list(measure.report(tmp_path, files, mirror=False))
    assert lines[0].startswith("40 images of 20 people")
    for name, start in ((ENCODER, 1), (SECOND_ENCODER, 5)):
        assert lines[start].startswith(f"{name}, bytes")
        assert "mean 1.00000, 1 % below 1.00000, worst 1.00000" in lines[start + 1]
        same = "difference +0.000% (95 % interval +0.000% to +0.000%)"
        assert all(same in line for line in lines[start + 2 : start + 4])
    assert lines[-1] == f"int8 / float: {ENCODER} 1.00, {SECOND_ENCODER} 1.00"
    monkeypatch.setattr(measure, "crops", lambda _: iter(faces[:-1]))
    with pytest.raises(DatasetError, match="too few people"):
        list(measure.report(tmp_path, files, mirror=False))


def test_measuring_without_sources_says_so(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(measure.main, [str(tmp_path), "--sources", str(tmp_path)])
    assert outcome.exit_code == 2
    assert "cannot be read" in outcome.output
