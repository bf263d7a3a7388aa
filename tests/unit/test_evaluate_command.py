# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.evaluate`` from pictures to figures, and what it says to bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from facelatch import parameters
from tests import pictures
from tools import dataset
from tools.dataset import Embedded
from tools.evaluate.__main__ import fitted_to, main

KEYS = {
    *("identities", "images", "failure_to_acquire", "genuine_attempts", "impostor_attempts", "frr", "frr_ci95", "far"),
    *("far_ci95", "frr_at_first_frame", "guesswork_bits", "guesswork_bits_p5", "guesswork_ci95", "success_at"),
    *("person_pairs", "decode_ms_p50", "decode_ms_p95", "encode_ms_p50", "parameter_set", "protocol", "held_out"),
    *("far_ci95_person_pairs", "guesswork_at_frr5"),
}
SMALL = ("--enroll", "4", "--probe", "3", "--repeats", "2")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of embeddings is not that of the source tree."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, one of whom has a grey picture without an extension and a file that is none; and a wall."""
    folder = tmp_path_factory.mktemp("sets") / "people"
    *looks, last = pictures.anna(7)
    pictures.save(folder / "anna", looks)
    _, grey = cv2.imencode(".pgm", cv2.cvtColor(last, cv2.COLOR_RGB2GRAY))
    (folder / "anna" / "10").write_bytes(grey.tobytes())
    pictures.save(folder / "stranger", pictures.stranger(7))
    (folder / "stranger" / "notes.jpg").write_bytes(b"no picture")
    (folder / "stranger" / ".hidden").write_bytes(b"")
    pictures.save(folder / "wall", pictures.nobody())
    (folder / "README.txt").write_text("not a person")
    return folder


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person in two sessions, another in one."""
    folder = tmp_path_factory.mktemp("sets") / "visits"
    pictures.save(folder / "anna-1", pictures.anna(4))
    pictures.save(folder / "anna-2", pictures.anna(6, seed=9))
    pictures.save(folder / "otto-1", pictures.stranger(4))
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def figures(folder: Path, *arguments: object) -> dict[str, Any]:
    output = folder / "new" / "figures.json"
    result = run(*arguments, "--json", output)
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = json.loads(output.read_bytes())
    return read


def test_from_pictures_to_figures(people: Path, tmp_path: Path) -> None:
    found = figures(tmp_path, people, *SMALL)
    assert found.keys() >= KEYS
    assert (found["identities"], found["identities_skipped"], found["images"]) == (2, 1, 16)
    assert found["unreadable"] == ["stranger/notes.jpg"]
    assert found["failure_to_acquire"] == pytest.approx(1 / 15)
    assert found["failure_to_acquire_by_hint"] == {"verify_retry_no_face": 1}
    assert (found["genuine_attempts"], found["impostor_attempts"], found["person_pairs"]) == (4, 8, 1)
    assert (found["frr"], found["far"]) == (0, 0)
    # Two people, none refused and one pair: next to nothing is known, and the intervals say so.
    assert found["frr_ci95"][1] > 0.8
    assert found["far_ci95_person_pairs"] == [0, pytest.approx(0.975)]
    assert found["success_at"].keys() == {"1", "2^10", "2^20", "2^30"}
    assert (found["parameter_set"], found["protocol"], found["held_out"]) == ("standard", "random", True)
    assert found["decode_ms_p95"] >= found["decode_ms_p50"] > 0
    assert found["encode_ms_p50"] > 0


def test_the_same_seed_gives_the_same_figures(people: Path, tmp_path: Path) -> None:
    first, again = (figures(tmp_path, people, *SMALL) for _ in range(2))
    for found in (first, again):
        for name in [name for name in found if "_ms_" in name]:
            del found[name]
    assert first == again


def test_sessions_and_refreshes(visits: Path, tmp_path: Path) -> None:
    found = figures(tmp_path, visits, "--protocol", "sessions", *SMALL, "--refresh")
    assert (found["identities"], found["genuine_attempts"], found["genuine_people"]) == (2, 4, 1)
    assert found["refresh"]["same_light"]["attempts"] == 2
    assert found["refresh"]["third_session"]["frr"] is None
    assert "same_session" not in found  # no frames are left of any


def test_other_frames_of_the_session_of_enrolment_are_tried_apart(visits: Path, tmp_path: Path) -> None:
    found = figures(tmp_path, visits, "--protocol", "sessions", "--enroll", "3", "--probe", "3", "--repeats", "2")
    assert found["same_session"] == {"genuine_people": 1, "frr": 0, "frr_at_first_frame": 0}


def test_without_the_gate_what_it_refuses_is_tried_too(people: Path, tmp_path: Path) -> None:
    dark = people.parent / "dark"
    for name, looks in (("anna", pictures.anna(7)), ("stranger", pictures.stranger(7))):
        pictures.save(dark / name, [(look * 0.04).astype(np.uint8) for look in looks])
    assert "shows a face that can be used" in run(dark, *SMALL).output
    found = figures(tmp_path, dark, *SMALL, "--ungated")
    assert (found["identities"], found["failure_to_acquire"], found["genuine_attempts"]) == (2, 0, 4)


def test_the_report_is_one_page_without_scripts_or_faces(visits: Path, tmp_path: Path) -> None:
    (visits / "otto-1").rename(visits / "<otto>-1")
    result = run(visits, "--protocol", "sessions", *SMALL, "--report", tmp_path / "deep" / "report")
    (visits / "<otto>-1").rename(visits / "otto-1")
    assert result.exit_code == 0, result.output
    (page,) = (tmp_path / "deep" / "report").iterdir()
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 5
    assert not re.search(r"<script|<img|<image|<link|url\(|src=|<otto>|nan|inf\b", text)
    assert 'name="viewport"' in text


def test_nobody_with_images_enough_still_tells_what_was_refused(people: Path, tmp_path: Path) -> None:
    found = figures(tmp_path, people, "--enroll", 30, "--report", tmp_path)
    assert (found["identities"], found["identities_skipped"], found["frr"], found["far"]) == (0, 3, None, None)
    assert found["failure_to_acquire"] == pytest.approx(1 / 15)
    assert "Nobody has images enough" in run(people, "--enroll", 30).output


@pytest.mark.parametrize("make", [lambda _: None, lambda folder: (folder / "anna").mkdir()])
def test_an_empty_data_set_ends_with_status_2(tmp_path: Path, make: Any) -> None:
    make(tmp_path)
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "no images" in result.output


def test_pictures_without_a_face_end_with_status_2_and_why(tmp_path: Path) -> None:
    pictures.save(tmp_path / "wall", pictures.nobody())
    (tmp_path / "wall" / "torn").write_bytes(b"\xff\xd8\xff")
    result = run(tmp_path)
    assert result.exit_code == 2
    assert "1 verify_retry_no_face, 1 unreadable" in result.output


def test_a_folder_without_a_session_ends_with_status_2(people: Path) -> None:
    result = run(people, "--protocol", "sessions")
    assert result.exit_code == 2
    assert "folder anna does not name a session" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--parameters", "none"),
        ("--refresh",),
        ("--enroll-sessions", "2"),
        ("--probe", "0"),
        ("--cross-fit",),
        ("--population", "."),
        ("--json", "/proc/none/figures.json"),
    ],
)
def test_what_cannot_be_done_ends_with_status_2(people: Path, arguments: tuple[str, ...]) -> None:
    result = run(people, *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_data_that_the_set_was_fitted_to_is_told_from_other_data() -> None:
    p = parameters.read("standard")
    source, _, counts = str(p.measured["data"]).partition(": ")
    people, images = (int(word) for word in counts.split() if word.isdigit())
    other = Embedded(np.zeros((2, 192), np.float32), np.array(["a", "b"]), ())
    labels = [str(index % people) for index in range(images)]
    same = Embedded(np.zeros((images, 192), np.float32), np.array(labels), ())
    assert fitted_to(p, source, other)
    assert fitted_to(p, "renamed", same)
    assert fitted_to(p, "extyaleb-dev", other)
    assert not fitted_to(p, "other", other)


def test_not_held_out_is_said_first(people: Path, tmp_path: Path) -> None:
    alias = tmp_path / "lfw-dev"
    alias.symlink_to(people)
    result = run(alias, *SMALL)
    assert result.exit_code == 0
    assert "NOT HELD OUT" in result.output
    assert "| held_out | False |" in result.output


def test_files_are_in_natural_order_and_kept_embeddings_are_used_again(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [path.name for path in dataset.list_images(people)[0]][-2:] == ["5.png", "10"]
    first = dataset.embed(people)
    monkeypatch.setattr(dataset, "_embed_one", lambda _: pytest.fail("embedded again"))
    again = dataset.embed(people)
    assert np.array_equal(first.embeddings, again.embeddings)
    assert first.refused == again.refused
    assert {(image.person, image.file) for image in again.refused} == {("stranger", "notes.jpg"), ("wall", "0.png")}
