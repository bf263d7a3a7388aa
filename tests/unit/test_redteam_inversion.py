# SPDX-License-Identifier: Apache-2.0
"""The inversion attack: estimators are right where a form gives the embedding away, and blunt where it does not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from facelatch import parameters
from facelatch.demo import portrait
from facelatch.face.encoder import Fusion
from facelatch.l2fe.rotation import rotation
from facelatch.shipped import encoders
from tests import faces, pictures
from tools import dataset
from tools.dataset import Embedded
from tools.redteam.__main__ import main
from tools.redteam.inversion import attack, e8, forms, judge, modular, results
from tools.redteam.inversion.drawing import Artist, Pictures, encode
from tools.redteam.inversion.own import Record
from tools.redteam.inversion.people import Targets
from tools.redteam.inversion.prior import Floats, Prior, units

pytest.importorskip("fpylll")

STANDARD = parameters.read("standard")


def made_up(count: int, size: int = 96, seed: int = 1) -> Floats:
    """Unit embeddings of which the first coordinates vary more."""
    spread = np.linspace(1, 0.05, size)
    return units(0.3 + spread * np.random.default_rng(seed).normal(size=(count, size)))


def cosines(form: forms.Form[forms.Stored], x: Floats) -> Floats:
    [guess] = form.estimate(form.store(x, np.random.default_rng(2)))
    assert np.linalg.norm(guess, axis=1) == pytest.approx(1)
    cosines: Floats = (guess * x).sum(axis=1)
    return cosines


def test_the_prior_returns_what_is_known_and_guesses_the_rest_from_it() -> None:
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(12, 3))
    prior = Prior.learn(rng.normal(size=(4000, 3)) @ factor.T + 0.01 * rng.normal(size=(4000, 12)))
    x = rng.normal(size=(5, 3)) @ factor.T
    few = np.eye(12)[:4]
    guess = prior.given(few, x @ few.T)
    assert guess[:, :4] == pytest.approx(x[:, :4], abs=0.02)
    # Four coordinates of a three-dimensional family tell the other eight.
    assert guess == pytest.approx(x, abs=0.1)


def test_e8_finds_the_nearest_of_all_points() -> None:
    whole = np.array(list(itertools.product((-1, 0, 1, 2), repeat=8)), dtype=np.float64)
    half = np.array(list(itertools.product((-0.5, 0.5, 1.5), repeat=8)))
    points = np.concatenate([some[some.sum(axis=1) % 2 == 0] for some in (whole, half)])
    targets = np.random.default_rng(4).uniform(size=(200, 8))
    squared = (points**2).sum(axis=1) - 2 * targets @ points.T
    assert np.array_equal(e8.nearest(targets), points[squared.argmin(axis=1)])
    # So far off as its covering radius, one, and no farther.
    assert np.linalg.norm(targets - e8.nearest(targets), axis=1).max() <= 1
    assert np.array_equal(e8.nearest(points + 0.2), points)


def test_equations_modulo_a_prime() -> None:
    rng = np.random.default_rng(5)
    a, s = rng.integers(0, forms.Q, (40, 30)), rng.integers(0, forms.Q, (30, 7))
    assert np.array_equal(modular.solve(a, a @ s % forms.Q, forms.Q), s)
    a[:, 3] = 2 * a[:, 4]
    with pytest.raises(modular.UnsolvableError, match="unknown"):
        modular.solve(a, a @ s % forms.Q, forms.Q)


def test_the_earlier_lwe_scheme_gives_its_noise_away_to_whoever_has_its_string() -> None:
    x = made_up(20)
    form = forms.LweExtractor(Prior.learn(made_up(2000, seed=6)), np.random.default_rng(7))
    helper = form.store(x, np.random.default_rng(8))
    noise = form.noise(helper)
    significant = np.any(noise != 0, axis=0)
    assert significant.sum() == 48
    assert np.array_equal(noise[:, significant], np.rint(forms.STEPS * x[:, significant]))
    assert cosines(form, x).min() > 0.9
    # Control: with another string the same equations give nothing.
    [blind] = form.estimate(replace(helper, string=helper.string[::-1]))
    assert np.abs((blind * x).sum(axis=1)).mean() < 0.6


def test_a_random_projection_is_undone_better_by_knowing_faces() -> None:
    x = made_up(30)
    prior = Prior.learn(made_up(4000, seed=9))
    blank = Prior(np.zeros(96), np.eye(96))
    guesses = cosines(forms.RandomProjection(prior, 48), x)
    assert guesses.mean() > 0.8
    assert guesses.mean() > cosines(forms.RandomProjection(blank, 48), x).mean() + 0.1
    assert cosines(forms.RandomProjection(prior, 96), x) == pytest.approx(1)


def test_a_sketch_that_finds_owners_again_holds_most_of_the_face() -> None:
    rng = np.random.default_rng(10)
    drawn = units(rng.normal(size=(340, 96)))
    looks, x = drawn[:300], drawn[300:]
    form = forms.E8Sketch(Prior.learn(looks), looks, units(looks + 0.14 * rng.normal(size=looks.shape)))
    assert cosines(form, x).mean() > 0.9
    # Control: with a cell too small for any owner it holds nothing.
    form.scale /= 30
    assert cosines(form, x).mean() < 0.7


@pytest.fixture(scope="module")
def known() -> Floats:
    rng = np.random.default_rng(13)
    return np.stack([faces.someone(STANDARD, rng) for _ in range(100)])


def test_our_record_is_decoded_to_the_point_of_its_coset_nearest_the_mean(known: Floats) -> None:
    rng = np.random.default_rng(14)
    record = Record(STANDARD, Prior.learn(known), known[:40], rng)
    owners = known[40:46]
    sketches = record.store(owners, rng)
    guesses, truth = record.nearest(sketches), STANDARD.projection(owners)
    basis = np.kron(np.eye(STANDARD.lattice.copies), STANDARD.lattice.basis)
    spread = STANDARD.projection(known[:40]).std(axis=0)
    for sketch, guess, y in zip(sketches, guesses, truth, strict=True):
        coefficients = (sketch.c - STANDARD.scale * (rotation(sketch.seed, STANDARD.k) @ guess)) @ np.linalg.inv(basis)
        assert coefficients == pytest.approx(np.rint(coefficients), abs=1e-3)
        assert np.linalg.norm(guess / spread) < np.linalg.norm(y / spread)
        assert np.linalg.norm(guess - y) > STANDARD.accept_radius
    both = record.estimate(sketches)
    assert both.shape == (2, 6, known.shape[1])
    assert np.linalg.norm(both, axis=-1) == pytest.approx(1)


def test_a_record_whose_cell_is_wider_than_faces_differ_is_open(known: Floats) -> None:
    rng = np.random.default_rng(15)
    wide = replace(STANDARD, scale=STANDARD.lattice.side / (16 * float(STANDARD.spread.max())))
    record = Record(wide, Prior.learn(known), known[:40], rng)
    owners = known[40:46]
    # All that is lost is the rounding of w.
    assert record.nearest(record.store(owners, rng)) == pytest.approx(STANDARD.projection(owners), abs=3 / wide.scale)
    [first, second] = record.estimate(record.store(owners, rng))
    assert STANDARD.projection(first) == pytest.approx(STANDARD.projection(owners), abs=2)
    assert (second * owners).sum(axis=1).min() > 0.5


def test_the_threshold_is_the_one_of_that_many_false_accepts() -> None:
    rng = np.random.default_rng(16)
    vectors = rng.normal(size=(200, 8)).astype(np.float32)
    names = np.repeat([f"p{number}" for number in range(100)], 2)
    data = Embedded(vectors, names, ())
    level = judge.threshold(data, 0.01)
    other = names[:, None] != names[None]
    assert np.mean((data.units @ data.units.T)[other] >= level) == pytest.approx(0.01, abs=0.001)


def test_rates_and_their_bounds() -> None:
    names = [f"p{number}" for number in range(600)]
    none = judge.Rate.of(names, np.zeros(600, dtype=np.bool_), 1)
    assert none.value == 0
    assert 0.003 < none.upper < 0.01
    one = judge.Rate.of(names, np.arange(600) == 5, 1)
    assert none.upper < one.upper < 0.01
    assert str(judge.Rate.of(names[:10], np.ones(10, dtype=np.bool_), 1)).startswith("100.0% (69")


def test_another_image_is_kept_from_the_enrolment() -> None:
    rng = np.random.default_rng(17)
    names = np.array(["a", "b", "b", "c", "c", "c"])
    data = Embedded(rng.normal(size=(6, 8)).astype(np.float32), names, ())
    targets = Targets.choose(data, 9, rng)
    assert targets.names[2] == "a"
    assert sorted(targets.names[:2]) == ["b", "c"]
    assert len(targets.others) == 2
    at = targets.names.tolist().index("b")
    assert targets.enrolled[at] == pytest.approx(data.units[1], rel=1e-5)
    assert targets.others[at] == pytest.approx(data.units[2], rel=1e-5)
    assert len(targets.several.enrolled) == 2
    assert len(Targets.choose(data, 1, rng).names) == 1


def result(name: str, embedding: bool, picture: bool, count: int = 400) -> results.Result:
    estimated, drawn = (np.full(count, flag) for flag in (embedding, picture))
    shown: Pictures = np.zeros((1, 1, 112, 112, 3), dtype=np.uint8)
    names = [f"p{number}" for number in range(count)]
    return results.Result(name, names, estimated, drawn, drawn, estimated, drawn, drawn, 1.0, shown)


@pytest.mark.parametrize("blunt", [None, 0, 1, 2])
def test_controls_that_do_not_bite_are_told(blunt: int | None) -> None:
    found = [result("plain", blunt != 0, blunt != 1), result("l2fe_weak", blunt != 2, True)]
    assert [control.bites for control in attack.controls(found, 0.001)] == [number != blunt for number in range(3)]


def test_the_advantage_is_over_guessing_and_no_less_than_the_data_allow() -> None:
    figures = results.figures(result("l2fe", False, False), 0.002, 1)
    assert figures["asr_picture"] == 0
    assert figures["advantage_upper95"] == pytest.approx(1 - 0.025 ** (1 / 400) - 0.002, rel=1e-6)


@pytest.fixture(scope="module")
def encoder() -> Fusion:
    return encoders()


def crop() -> Pictures:
    picture = cv2.resize(portrait.read()[40:248, 112:320], (112, 112))
    return np.asarray(picture, dtype=np.uint8)[None]


def test_the_encoders_in_jax_are_those_that_ship(encoder: Fusion) -> None:
    network = pytest.importorskip("tools.redteam.inversion.network")
    networks, weights = network.shipped()
    jax = pytest.importorskip("jax")
    compiled = jax.jit(lambda weights, crops: network.embed(networks, weights, crops))
    own = np.asarray(compiled(weights, crop().astype(np.float32)))
    assert float((own * encode(crop(), encoder)).sum()) > 0.999


@pytest.mark.parametrize(("stride", "size"), [(1, 7), (2, 7), (2, 8)])
def test_the_slope_of_a_convolution_is_that_of_jax_itself(stride: int, size: int) -> None:
    network = pytest.importorskip("tools.redteam.inversion.network")
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(18)
    x, kernel = rng.normal(size=(2, size, size, 4)).astype(np.float32), rng.normal(size=(3, 3, 4)).astype(np.float32)

    def own(x: object) -> object:
        return (network._each(stride, x, kernel) ** 2).sum()

    def reference(x: object) -> object:
        y = jax.lax.conv_general_dilated(
            x,
            kernel[:, :, None],
            (stride, stride),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=4,
        )
        return (y**2).sum()

    assert np.asarray(own(x)) == pytest.approx(np.asarray(reference(x)), rel=1e-4)
    assert np.asarray(jax.grad(own)(x)) == pytest.approx(np.asarray(jax.grad(reference)(x)), abs=1e-3)


def test_an_artist_learns_to_draw_what_embeddings_tell() -> None:
    rng = np.random.default_rng(19)
    parts = rng.normal(0, 12, (3, 112, 112, 3))
    traits = np.clip(rng.normal(size=(80, 3)), -2, 2)
    crops = np.clip(128 + np.einsum("mt,thwc->mhwc", traits, parts), 0, 255).astype(np.uint8)
    x = units(np.concatenate([traits, np.full((80, 1), 3.0)], axis=1))
    artist = Artist.learn(crops[:60], x[:60])
    drawn = artist.draw(artist.sketch(x[60:])).astype(np.float64)
    wrong = np.abs(drawn - crops[60:]).mean()
    assert wrong < 0.5 * np.abs(artist.mean.reshape(112, 112, 3) - crops[60:]).mean()


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("crowd")
    for number, looks in enumerate(pictures.crowd(20, 8)):
        pictures.save(folder / f"person{number}", looks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset, "CACHE", folder / ".embeddings")
        yield folder


def test_the_command_attacks_every_form(crowd: Path, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    output, page = tmp_path / "figures.json", tmp_path / "page"
    options = [str(crowd), "--only", "inversion", "--quick", "--json", str(output), "--report", str(page)]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    figures = json.loads(output.read_bytes())["inversion"]
    for form in ("plain", "mrp", "lwe_fe", "sketch", "l2fe"):
        assert {"asr_embedding", "asr_picture", "baseline", "advantage_upper95"} <= set(figures[form])
    assert figures["plain"]["asr_embedding"] == 1
    assert figures["l2fe"]["asr_embedding"] < figures["plain"]["asr_embedding"]
    html = (page / "index.html").read_text()
    # Each target beside what was drawn from five forms, from ours twice, and from the control.
    assert html.count("data:image/jpeg") == 6 * 8
