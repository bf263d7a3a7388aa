# SPDX-License-Identifier: Apache-2.0
"""The bench: its arithmetic, its guard, its rivals, and what it writes. Nothing hangs on how fast the machine is."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facelatch import parameters
from facelatch.demo import portrait, session
from facelatch.demo.stranger import stranger
from facelatch.errors import ModelError
from facelatch.face.detector import Detector
from facelatch.models import DETECTOR, ENCODER, SECOND_ENCODER, read_model
from tools.bench import baseline, beams, clock, field, growth, guard, plots, rivals, stages, twin
from tools.bench.beams import Beam
from tools.bench.clock import Times
from tools.bench.figures import KEYS, Figures
from tools.bench.growth import Growth
from tools.build_models import graph, onnx_graph
from tools.build_models.encoder import run, sample_images
from tools.decoding import noise

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scene() -> stages.Scene:
    return stages.scene()


def nothing() -> None:
    """Do nothing."""


def test_medians_and_quantiles() -> None:
    taken = Times(tuple(float(n) for n in range(101)), (1.0, 2.0, 9.0))
    assert (taken.median, taken.p95, taken.busy) == (50, 95, 2)
    assert Times((1.0,)).busy is None


def test_calls_take_turns_after_a_warm_round() -> None:
    called: list[str] = []
    taken = clock.turns({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3)
    assert called == ["a", "b"] * 4
    assert all(len(times.wall) == len(times.processor) == 3 for times in taken.values())


def test_a_ratio_that_holds_in_every_round_has_no_spread() -> None:
    shorter = np.random.default_rng(1).uniform(1, 9, 30)
    assert clock.ratio(list(20 * shorter), list(shorter)) == pytest.approx((20, 20, 20))
    middle, low, high = clock.ratio([10, 20, 30, 40, 50], [1, 1, 2, 1, 1])
    assert low < middle == 30 < high


def test_all_keys_are_there_whatever_was_measured() -> None:
    assert Figures().json().keys() >= set(KEYS)
    figures = Figures(times={"ready_ms": Times((1.0, 2.0, 3.0), (0.5,))})
    figures.add(Figures(times={"decode_ms/10": Times((4.0,))}, values={"rss_mb": 5}, missing={"dlib": "not here"}))
    found = figures.json()
    assert (found["ready_ms"], found["decode_ms"], found["rss_mb"], found["dlib_ms"]) == (2, {"10": 4}, 5, None)
    assert found["p95_ms"] == {"ready_ms": 2.9, "decode_ms": {"10": 4}}
    assert found["processor_ms"] == {"ready_ms": 0.5}
    table = figures.table()
    assert "| ready_ms | 2 | 2.9 | 0.5 |" in table
    assert "| dlib | not here |" in table


def test_the_sphere_bound_has_its_closed_forms() -> None:
    """In two dimensions the tail beyond r is exp(-h) with h = r^2 / 2 sigma^2, in four (1 + h) exp(-h)."""
    for sigma in (0.15, 0.2, 0.3):
        half = 1 / (2 * math.pi * sigma**2)
        assert noise.sphere_bound(sigma, 2) == pytest.approx(math.exp(-half))
        half = math.sqrt(2 / math.pi**2) / (2 * sigma**2)
        assert noise.sphere_bound(sigma, 4) == pytest.approx((1 + half) * math.exp(-half))


def test_the_sphere_bound_tends_to_the_capacity() -> None:
    """Poltyrev's limit for infinite constellations: noise of 1 / sqrt(2 pi e) cells, in ever more dimensions."""
    limit = 1 / math.sqrt(2 * math.pi * math.e)
    levels = [noise.sphere_level(0.05, k) for k in (24, 48, 200, 2000)]
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(limit, rel=0.03)
    assert levels[-1] < limit


def test_noise_borne_is_the_same_up_to_the_most_that_is_asked_for() -> None:
    directions = np.random.default_rng(2).normal(size=(200, 4))

    def removes(vectors: noise.Floats) -> noise.Flags:
        return np.asarray(np.abs(vectors).max(axis=1) < 0.3)

    whole, part = noise.borne(removes, directions), noise.borne(removes, directions, 0.2)
    assert np.minimum(whole, 0.2) == pytest.approx(part, abs=0.001)
    assert 0 < np.count_nonzero(part < 0.2) < len(part)


def test_half_a_decibel_less_noise_is_half_a_decibel() -> None:
    best = np.random.default_rng(3).uniform(0.1, 0.3, 5000)
    worse = best / 10 ** (0.5 / 20)
    assert beams._short(worse, best, 0.01) == pytest.approx((0.5, 0.5, 0.5))
    assert beams._short(best, best, 0.01) == (0, 0, 0)


def test_a_narrow_beam_is_farther_from_the_best_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fpylll")
    monkeypatch.setattr(beams, "BEAMS", (8, 256))
    monkeypatch.setattr(beams, "NOISE", 0.195)
    best, narrow, wide = beams.measure(parameters.read("standard"), 1000, nothing)
    assert (best.width, best.short) == (None, (0, 0, 0))
    assert narrow.error[0] > 2 * best.error[0] > 0
    assert narrow.short[1] > 0.3
    assert wide.error[0] == pytest.approx(best.error[0], abs=0.003)
    assert wide.short[0] < 0.1
    assert narrow.limit > wide.limit >= best.limit > 0


def test_beams_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(beams.BeamsError, match="build-setup"):
        beams.measure(parameters.read("standard"), 10, nothing)


@pytest.mark.parametrize("name", [ENCODER, SECOND_ENCODER])
def test_the_float_twin_is_the_shipped_encoder(name: str) -> None:
    shipped = read_model(name)
    floated = twin.floated(shipped)
    images = sample_images()
    ours, theirs = (run(model, images) for model in (shipped, floated))
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    assert np.min(np.sum(ours * theirs, axis=1) / lengths) > 0.99
    assert len(floated) > 2.5 * len(shipped)
    loaded = graph.load(floated)
    kinds = {
        graph.constant(loaded, tensor).dtype.kind
        for operator in loaded.subgraphs[0].operators
        if graph.op_name(loaded, operator) == "CONV_2D"
        for tensor in operator.inputs[1:]
    }
    assert kinds == {"f"}


@pytest.mark.parametrize("name", [ENCODER, SECOND_ENCODER])
def test_the_onnx_twin_computes_the_same(name: str) -> None:
    pytest.importorskip("onnx")
    floated = twin.floated(read_model(name))
    images = sample_images()[[0, -1]]
    expected, found = run(floated, images), onnx_graph.run(twin.as_onnx(floated), images)
    assert found == pytest.approx(expected, abs=1e-4 * np.abs(expected).max())


def test_what_is_not_converted_is_refused() -> None:
    pytest.importorskip("onnx")
    with pytest.raises(ModelError, match="not converted here"):
        twin.as_onnx(read_model(DETECTOR))


def test_a_missing_rival_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for name, package in ((field.DLIB, "dlib"), (field.ONNXRUNTIME, "onnxruntime")):
        assert package in (why := field.missing(name) or "")
        assert "make bench-setup" in why
    assert field.missing(field.OWN) is None
    monkeypatch.setenv(field.OPENCV_FOLDER, str(tmp_path))
    for name in (field.YUNET, field.SFACE):
        assert field.SFACE in (field.missing(field.OPENCV) or "")
        (tmp_path / name).write_bytes(b"another network")
    assert "another file" in (field.missing(field.OPENCV) or "")


def test_our_contender_looks_and_finds(scene: stages.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field, "RIVALS", ())
    figures = rivals.measure(scene, nothing, 2, 1)
    assert len(figures.times["frame_to_verdict_ms"].wall) == 2
    steps = ("bare", "import", "models", "parameters")
    memory = [float(figures.values[f"facelatch_rss_at_mb/{step}"] or 0) for step in steps]
    assert memory[0] > 0
    assert memory == sorted(memory)


def test_a_contender_that_meets_a_stranger_gives_no_time(scene: stages.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else something that lets everyone in, or finds nobody, might look fast."""
    monkeypatch.setattr(field, "RIVALS", ())
    other = session.frames(stranger(portrait.read()), 1, seed=3)
    with pytest.raises(rivals.RivalError, match="does not know the face"):
        rivals.measure(replace(scene, frames=[*scene.frames[:-1], *other]), nothing, 1, 1)


def test_a_contender_that_ends_is_named(tmp_path: Path) -> None:
    with pytest.raises(rivals.RivalError, match="the contender facelatch ended"):
        rivals.Process(field.OWN, tmp_path)


def test_a_stage_has_grown_beyond_the_slack_only() -> None:
    kept = {"decode": 2.0, "encode": 3.0}
    found = {"decode": 2.0 * guard.SLACK * 1.01, "encode": 3.0 * guard.SLACK * 0.99, "new": 9.0}
    judged = guard.judge(found, kept)
    assert [(each.stage, each.grown) for each in judged] == [("decode", True), ("encode", False), ("new", False)]
    rows = guard.table(judged).rows
    assert [row[-1] for row in rows] == ["GROWN", "", ""]
    assert rows[-1][2] == "new"
    with pytest.raises(guard.LimitsError, match="encode has a limit but is not measured"):
        guard.judge({"decode": 1.0}, kept)


def test_limits_of_other_machines_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    guard.write(file, "aarch64", {"decode": 1.25})
    guard.write(file, "x86_64", {"decode": 2.0})
    guard.write(file, "x86_64", {"decode": 3.14159})
    assert tomllib.loads(file.read_text()) == {"aarch64": {"decode": 1.25}, "x86_64": {"decode": 3.14}}
    assert guard.read(file, "x86_64") == {"decode": 3.14}
    with pytest.raises(guard.LimitsError, match="no limits for riscv64"):
        guard.read(file, "riscv64")
    with pytest.raises(guard.LimitsError, match="cannot be read"):
        guard.read(tmp_path / "none.toml", "x86_64")


def test_limits_are_kept_of_the_stages_that_are_guarded() -> None:
    kept = tomllib.loads(guard.LIMITS.read_text())
    assert "x86_64" in kept
    for limits in kept.values():
        assert limits.keys() == guard.calls().keys()


def test_real_extra_work_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten times the work costs far more than the slack on any machine and beside any load."""
    file, work = tmp_path / "limits.toml", baseline.work()

    def ten() -> None:
        for _ in range(10):
            work()

    assert guard.run({"stage": work}, file, update=True, repeats=5) == 0
    assert guard.run({"stage": ten}, file, update=False, repeats=5) == 1
    assert "grown: stage" in capsys.readouterr().err
    assert guard.run({"stage": ten}, file, update=True, repeats=5) == 0
    assert guard.run({"stage": work}, file, update=False, repeats=5) == 0
    assert guard.run({"another": nothing}, file, update=False, repeats=1) == 2
    assert "stage has a limit but is not measured" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "height"), growth.FRAMES)
def test_the_face_is_as_well_seen_in_larger_frames(scene: stages.Scene, width: int, height: int) -> None:
    frame = scene.frames[-1]
    larger = growth.enlarged(frame, width, height)
    assert larger.shape == (height, width, 3)
    detector = Detector(read_model(DETECTOR))
    before, after = detector(frame)[0].box, detector(larger)[0].box
    assert after[2] == pytest.approx(before[2] * height / frame.shape[0], rel=0.05)


def test_linear_growth_is_one() -> None:
    assert plots.linearity({1: 3.0, 100: 20.0, 1000: 200.0}) == 1
    assert plots.linearity({1: 3.0, 100: 20.0, 1000: 300.0}) == 1.5


def test_the_report_shows_each_part_and_what_is_missing() -> None:
    shown = Beam(256, 2.0, (0.003, 0.002, 0.004), (0.01, 0.0, 0.02), 0.83)
    found = Growth(
        users={name: dict.fromkeys(growth.USERS, 2.0) for name in ("standard", "strict")},
        frames={"640 x 480": 10.0, "1280 x 720": 20.0},
        threads={"mesh": {1: 2.0, 2: 3.0}},
        beams=[replace(shown, width=None, milliseconds=None), replace(shown, width=64), shown],
        trials=1000,
    )
    page = plots.render(found)
    assert page.count("<svg") == 5
    assert "sphere bound" in page
    lacking = plots.render(Growth(frames=found.frames, missing={"beams": "fpylll is <missing>"}))
    assert lacking.count("<svg") == 1
    assert "fpylll is &lt;missing&gt;" in lacking


def test_growth_writes_its_report_and_figures(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    result = CliRunner().invoke(growth.command, [str(tmp_path / "page"), "--only", "frames", "--json", str(output)])
    assert result.exit_code == 0, result.output
    assert "| 1920 x 1080 |" in result.output
    assert "<svg" in (tmp_path / "page" / "index.html").read_text()
    assert json.loads(output.read_bytes())["frames"].keys() == {f"{w} x {h}" for w, h in growth.FRAMES}


def test_a_quick_run_measures_everything(tmp_path: Path) -> None:
    """The real agent and the rivals that are installed: every key asked for, and each rival measured or named."""
    output = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tools.bench", "--quick", "--json", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)  # noqa: S603 - our own program
    found = json.loads(output.read_bytes())
    rival = {"dlib_ms", "ratio_vs_dlib", "dlib_rss_mb"}
    for key in set(KEYS) - rival:
        assert found[key], key
    assert found["stored_bytes_per_user"] <= 2048
    for name in field.RIVALS:
        assert (name in found["not_measured"]) != bool(found.get(f"{name.replace('-', '_')}_ms"))
    assert all((found[key] is None) == (field.DLIB in found["not_measured"]) for key in rival)
    assert "| frame_to_verdict_ms |" in done.stdout
