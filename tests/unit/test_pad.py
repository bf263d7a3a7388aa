# SPDX-License-Identifier: Apache-2.0
"""``tools.pad``: its rates on made-up outcomes, and the whole on small folders made from the demo's portrait."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from facelatch.face.liveness import Finding, Reason, Verdict
from facelatch.face.path import Look
from facelatch.face.quality import Hint
from tests import pictures
from tools.pad.__main__ import main
from tools.pad.capture import STEPS
from tools.pad.figures import nested, summarise
from tools.pad.judging import Outcome
from tools.pad.presentations import LENGTH, Presentation, bursts, find_species
from tools.pad.report import area
from tools.pad.sheets import sheet, wall

LIVE, SPOOF, UNSURE = (Verdict(found) for found in (Finding.LIVE, Finding.SPOOF, Finding.UNSURE))
RETRY = Verdict(Finding.RETRY, Reason.LEFT)


def outcome(species: str | None, person: str, verdict: Verdict, *, score: float = 0.0, matched: bool = True) -> Outcome:
    return Outcome(Presentation(species, person, []), verdict, LENGTH, score, matched)


def test_rates_are_those_of_the_standard_and_the_worst_species_comes_first() -> None:
    figures: Any = summarise(
        [
            *[outcome("paper", "a", SPOOF) for _ in range(9)],
            outcome("paper", "b", RETRY),
            *[outcome("screen", "a", LIVE), outcome("screen", "a", LIVE, matched=False)],
            *[outcome("screen", "b", UNSURE), outcome("screen", "b", SPOOF)],
            *[outcome(None, "a", LIVE) for _ in range(8)],
            *[outcome(None, "b", verdict) for verdict in (UNSURE, RETRY)],
        ],
        [1.0, 3.0, 2.0],
    )
    assert list(figures["species"]) == ["screen", "paper"]
    screen, paper = figures["species"].values()
    assert (screen["presentations"], screen["apcer"], screen["iapar"]) == (4, 0.5, 0.25)
    assert (screen["people"], screen["people_passed"]) == (2, 1)
    assert (paper["apcer"], paper["retries"]) == (0.0, {Reason.LEFT.value: 1})
    # What Clopper and Pearson give for 0 of 10 and for 2 of 10, to four places, from tables.
    assert paper["apcer_ci95"] == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert figures["bpcer"] == 0.2
    assert figures["bpcer_ci95"] == pytest.approx((0.0252, 0.5561), abs=1e-4)
    assert (figures["frames_used_p50"], figures["ms_per_frame"]) == (LENGTH, 2.0)


def test_a_nested_threshold_never_knows_the_person_it_judges() -> None:
    scores = {"a": (5.0, -5.0), "b": (7.0, -3.0), "c": (-9.0, -20.0)}
    outcomes = []
    for person, (live, spoof) in scores.items():
        outcomes += [outcome(None, person, LIVE, score=live), outcome("paper", person, SPOOF, score=spoof)]
    figures: Any = nested(outcomes)
    # By a and b alone the threshold is 1, above c's live score; by a or b and c it is below -5.
    assert (figures["bpcer"], figures["apcer"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert figures["thresholds"] == (-7.0, 1.0)
    assert nested(outcomes[:2]) is None


def test_bursts_share_no_frame_and_pass_over_what_is_only_blurred() -> None:
    good, blurred, gone = Look(embedding=np.ones(1, np.float32)), Look(hint=Hint.BLURRED), Look(hint=Hint.NO_FACE)
    looks = [(float(n), look) for n, look in enumerate([good] * 7 + [blurred, gone] + [good] * 9)]
    found = list(bursts(looks))
    assert [[time for time, _ in burst] for burst in found] == [[0, 1, 2, 3, 4, 5, 6, 8], list(range(9, 17))]
    assert [len(burst) for burst in bursts(looks[:1])] == [1]


def test_the_area_under_the_roc_counts_pairs() -> None:
    assert area([3, 4], [1, 2]) == 1
    assert area([1, 2], [1, 2]) == 0.5
    assert area([1], [2, 1, 0]) == 0.5


def test_species_are_the_folders_of_folders(tmp_path: Path) -> None:
    for folder in ("flat/a-1", "flat/b-1", "bent/a-1"):
        (tmp_path / folder).mkdir(parents=True)
    assert list(find_species(tmp_path, None)) == ["bent", "flat"]
    assert find_species(tmp_path / "flat", None) == {"flat": tmp_path / "flat"}
    assert find_species(tmp_path / "flat", "print") == {"print": tmp_path / "flat"}


def test_the_protocol_has_people_and_every_species() -> None:
    kinds = {step.folder.partition("/")[0] for step in STEPS}
    assert kinds == {"live", "spoof"}
    assert len({step.folder for step in STEPS if step.folder != "live"}) == sum(s.folder != "live" for s in STEPS)


def test_a_sheet_is_seen_before_a_wall_and_narrower_when_turned() -> None:
    white = np.full((200, 200, 3), 250, dtype=np.uint8)
    front, aside = ((sheet(white, degrees, blur=0) != wall()).any(axis=2) for degrees in (0, 40))
    assert front.any(axis=0).sum() == pytest.approx(240, abs=3)
    assert 0.7 < aside.any(axis=0).sum() / front.any(axis=0).sum() < 0.85
    assert front[0, 0] == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pad")
    pictures.save(folder / "live" / "anna-1", pictures.anna(2 * LENGTH))
    pictures.save(folder / "print" / "anna-1", pictures.printed(LENGTH))
    frozen = pictures.anna(1) * LENGTH
    pictures.save(folder / "odd" / "frozen" / "anna-1", frozen)
    pictures.save(folder / "odd" / "one frame" / "anna-1", frozen[:1])
    gone = [*pictures.anna(4), *pictures.nobody(), *pictures.anna(3, seed=5)]
    pictures.save(folder / "odd" / "gone" / "anna-1", gone)
    return folder


def measured(tmp_path: Path, *arguments: str | Path) -> Any:
    output = tmp_path / "figures.json"
    command = [*map(str, arguments), "--json", str(output), "--report", str(tmp_path / "report")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "report" / "index.html").read_text() or "area under" not in result.output
    return json.loads(output.read_text())


def test_a_print_is_refused_and_the_person_passes(tmp_path: Path, data: Path) -> None:
    figures = measured(tmp_path, data / "live", data / "print")
    shown = figures["species"]["print"]
    assert (shown["presentations"], shown["apcer"], shown["iapar"]) == (1, 0, 0)
    assert shown["matched_without_liveness"] == 1
    assert (figures["bona_fide_presentations"], figures["bpcer"]) == (2, 0)
    assert figures["frames_used_p50"] == LENGTH
    assert figures["ms_per_frame"] > 0


def test_frames_that_say_nothing_are_told_with_their_reason_and_pass_nowhere(tmp_path: Path, data: Path) -> None:
    """They show a live face, so that only what is odd about them keeps them out."""
    species = measured(tmp_path, data / "live", data / "odd")["species"]
    assert {name: one["retries"] for name, one in species.items()} == {
        "frozen": {Reason.REPEATED.value: 1},
        "one frame": {Reason.TOO_FEW.value: 1},
        "gone": {Reason.LEFT.value: 1},
    }
    assert all(one["apcer"] == 0 for one in species.values())


def test_two_frames_a_second_are_too_few(tmp_path: Path, data: Path) -> None:
    figures = measured(tmp_path, data / "live", data / "print", "--fps", "2")
    assert (figures["bpcer"], figures["bona_fide_retries"]) == (1, {Reason.SLOW.value: 2})


def test_a_folder_without_folders_is_an_error(tmp_path: Path, data: Path) -> None:
    result = CliRunner().invoke(main, [str(data / "live"), str(tmp_path)])
    assert result.exit_code == 2
    assert "no folders" in result.output
