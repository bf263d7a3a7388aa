# SPDX-License-Identifier: Apache-2.0
"""Searching, dictionaries and photographs in small, on made-up people; and their parts."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from facelatch import parameters
from facelatch.demo import portrait
from facelatch.l2fe.extractor import Extractor
from tests.crowd import crowd
from tools import dataset
from tools.dataset import Embedded
from tools.evaluate.lock import Lock
from tools.redteam import masters, photo, poor, probes, records, searched
from tools.redteam.__main__ import PARTS, main
from tools.redteam.madeup import Sphere
from tools.redteam.searched import Run
from tools.redteam.trying import Rank

pytest.importorskip("fpylll")


def ran(tries: list[float]) -> Run:
    return Run("made up", 7.8, [Rank(bits, bits, bits + 3, 0.05) for bits in tries])


def test_figures_tell_what_was_counted_and_what_predicted() -> None:
    figures = searched.figures(ran([0.0, 9.0, 19.0, 29.0, 39.0]), 0.5)
    success = figures["success_at"]
    assert isinstance(success, dict)
    assert [success[key]["counted"] for key in ("2^0", "2^10", "2^20", "2^30")] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert success["2^20"]["predicted"] == pytest.approx(0.6)
    assert success["2^20"]["interval"][0] < 0.6 < success["2^20"]["interval"][1]
    assert figures["median_log2"] == 19
    assert figures["predicted_log2"] == {"median": 19.0, "p5": pytest.approx(1.8), "p1": pytest.approx(0.36)}


def test_cost_is_in_core_years() -> None:
    assert searched.core_years(25, 1.0) == pytest.approx(2**25 / 31557600)
    bits = {belief: np.full(4, tries) for belief, tries in (("plain", 30.0), ("clever", 12.0))}
    (sentence,) = searched.said(bits["plain"], bits, 0.5)
    assert "17 years" in sentence
    assert "34 minutes of one processor core" in sentence
    assert "(clever, by volume)" in sentence


def test_many_records_open_sooner_together() -> None:
    rows = searched.many(ran([float(bits) for bits in range(10, 50)])).rows
    halves = [float(row[2]) for row in rows]
    assert halves[0] > halves[1]
    assert "svg" in searched.picture(ran([20.0, 30.0]))


def test_an_enrolment_leaves_no_image_to_two_uses() -> None:
    data = crowd()
    (name, enrolled, left), *others = records.enrolments(data, np.random.default_rng(1))
    assert len(others) == 39
    rows = data.embeddings[data.people == name]
    used = [row for row in rows if not np.any(np.all(left == row, axis=1))]
    assert len(used) == records.ENROLLED
    total = np.sum(used, axis=0)
    assert enrolled == pytest.approx(total / np.linalg.norm(total), abs=1e-5)


def test_probes_are_what_they_are_made_to_be() -> None:
    p = parameters.read("standard")
    rng = np.random.default_rng(2)
    y = 0.5 * p.spread * rng.normal(size=p.k)
    probe = probes.lifted(p.projection, y)
    assert np.linalg.norm(probe) == pytest.approx(1)
    assert p.projection(probe) == pytest.approx(y, abs=1e-6)
    lock = Lock(Extractor(p), rng.bytes)
    enrolled = lock.enrol(Sphere(p).at(y))
    assert lock.opened_at(enrolled, probe[None].astype(np.float32)) == 0


def test_a_master_face_climbs_to_where_people_are_thick() -> None:
    rng = np.random.default_rng(3)
    thick = 10 + 0.5 * rng.normal(size=(20, 6))
    thin = 10 * rng.normal(size=(20, 6)) - 20
    people = np.concatenate([thick, thin])
    starts = np.stack([np.full(6, 5.0), np.full(6, -60.0)])
    climbed = masters.climb(starts, people, 5.0)
    near = np.linalg.norm(people[None] - climbed[:, None], axis=-1) <= 5
    assert near[0][:20].all()
    assert masters.best(climbed, people, 5.0, 1).tolist() == [0]
    assert sorted(masters.best(climbed, people, 5.0, 5).tolist()) == [0, 1]


def test_the_gate_refuses_what_is_spoilt_and_it_can_be_enrolled_without(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), portrait.read()[..., ::-1])
    steps: list[int] = []
    kinds = poor.spoil([("anna", path), ("anna", path), ("bert", tmp_path / "none.png")], lambda: steps.append(1))
    assert len(steps) == 3
    assert set(kinds) == {"blurred", "dark", "masked", "blank"}
    for kind in ("blurred", "dark", "blank"):
        assert kinds[kind].passed == 0
        assert kinds[kind].seen == 2
    for spoilt in kinds.values():
        assert spoilt.enrolments(3) == {}
        assert np.linalg.norm(spoilt.enrolments(2)["anna"]) == pytest.approx(1, abs=1e-5)


def test_means_are_of_each_person() -> None:
    looks = np.eye(4, dtype=np.float32)[[0, 1, 0]]
    names, faces_ = photo.means(Embedded(looks, np.array(["a", "b", "a"]), ()))
    assert names.tolist() == ["a", "b"]
    assert np.array_equal(faces_, np.eye(4)[[0, 1]])


@pytest.mark.parametrize("part", ["search", "dictionary", "photo"])
def test_each_part_runs_in_small_and_its_controls_bite(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "embed", lambda *_, **__: crowd(size=96))
    output = tmp_path / "figures.json"
    options = [str(tmp_path), "--only", part, "--quick", "--json", str(output), "--report", str(tmp_path / "page")]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    figures = json.loads(output.read_bytes())[part]
    wanted = {
        "search": ("success_at", "median_log2", "p5_log2", "p1_log2", "predicted_log2"),
        "dictionary": ("decodes", "argon2id_runs", "opened", "masters", "poor"),
        "photo": ("success", "kinds"),
    }[part]
    assert all(key in figures for key in wanted)
    assert part in PARTS
    if part == "photo":
        assert figures["success"] > 0.5
        assert "skipped" in result.output
