# SPDX-License-Identifier: Apache-2.0
"""Gen and Rep on the shipped parameter set, with the real decoder and the real Argon2id."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelatch import parameters
from facelatch.errors import EmbeddingError
from facelatch.l2fe import keys
from facelatch.l2fe.extractor import MAX_CANDIDATES, Context, Extractor, HelperData, Sketch
from tests.faces import attempt, someone

P = parameters.read("standard")
EXTRACTOR = Extractor(P)
D = len(P.projection.mean)
CONTEXT = Context(pepper=bytes(range(32)), user=b"anna", record_id=bytes(16), header=b"header")
# Below this distance decoding never failed in 20,000 trials; the decoder's own limit lies higher.
GUARANTEED = 0.55 * P.accept_radius


def enrolled(x: np.ndarray) -> tuple[Sketch, np.ndarray]:
    point = P.lattice.draw(os.urandom)
    return EXTRACTOR.sketch(x, os.urandom(32), point), point


@pytest.fixture(scope="module")
def anna() -> tuple[np.ndarray, HelperData]:
    x = someone(P, np.random.default_rng(1))
    return x, EXTRACTOR.generate(x, CONTEXT)


@given(seed=st.integers(0, 2**32 - 1), part=st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_every_face_within_the_guaranteed_distance_finds_the_point(seed: int, part: float) -> None:
    rng = np.random.default_rng(seed)
    x = someone(P, rng)
    sketch, point = enrolled(x)
    found = EXTRACTOR.candidates(attempt(P, x, part * GUARANTEED, rng), [sketch])
    assert any(np.array_equal(candidate.point, point) for candidate in found)


@given(seed=st.integers(0, 2**32 - 1), excess=st.floats(1.02, 4))
@settings(max_examples=150, deadline=None)
def test_no_face_beyond_the_accept_radius_finds_the_point(seed: int, excess: float) -> None:
    rng = np.random.default_rng(seed)
    x = someone(P, rng)
    sketch, point = enrolled(x)
    # Two in a hundred of slack for the rounding of w.
    found = EXTRACTOR.candidates(attempt(P, x, excess * P.accept_radius, rng), [sketch])
    assert not any(np.array_equal(candidate.point, point) for candidate in found)


def test_the_same_face_gets_the_same_secret_and_keys(anna: tuple[np.ndarray, HelperData]) -> None:
    x, helper = anna
    near = attempt(P, x, GUARANTEED, np.random.default_rng(2))
    (candidate, *_) = EXTRACTOR.candidates(near, [helper.sketch])
    secret = EXTRACTOR.secret(candidate.point, helper, CONTEXT)
    assert secret is not None
    assert bytes(keys.signing_key(secret).verify_key) == helper.verify_key
    assert bytes(keys.sealing_key(secret).public_key) == helper.seal_key


@pytest.mark.parametrize(
    "changed",
    [
        replace(CONTEXT, pepper=bytes(32)),
        replace(CONTEXT, user=b"bob"),
        replace(CONTEXT, record_id=b"\x01" + bytes(15)),
        replace(CONTEXT, header=b"headet"),
    ],
    ids=["device key", "user", "record id", "header"],
)
def test_the_right_point_is_worthless_in_another_context(anna: tuple[np.ndarray, HelperData], changed: Context) -> None:
    x, helper = anna
    (candidate, *_) = EXTRACTOR.candidates(x, [helper.sketch])
    assert EXTRACTOR.secret(candidate.point, helper, CONTEXT) is not None
    assert EXTRACTOR.secret(candidate.point, helper, changed) is None


def test_another_seed_salt_public_key_or_point_is_worthless(anna: tuple[np.ndarray, HelperData]) -> None:
    x, helper = anna
    (candidate, *_) = EXTRACTOR.candidates(x, [helper.sketch])
    other_seed = replace(helper, sketch=replace(helper.sketch, seed=bytes(32)))
    assert EXTRACTOR.secret(candidate.point, other_seed, CONTEXT) is None
    assert EXTRACTOR.secret(candidate.point, replace(helper, salt=bytes(16)), CONTEXT) is None
    assert EXTRACTOR.secret(candidate.point, replace(helper, verify_key=bytes(32)), CONTEXT) is None
    assert EXTRACTOR.secret(candidate.point, replace(helper, seal_key=bytes(32)), CONTEXT) is None
    off_by_one = candidate.point.copy()
    off_by_one[-1] = (off_by_one[-1] + 1) % P.lattice.modulus
    assert EXTRACTOR.secret(off_by_one, helper, CONTEXT) is None


def test_generating_twice_shares_nothing(anna: tuple[np.ndarray, HelperData]) -> None:
    x, helper = anna
    again = EXTRACTOR.generate(x, CONTEXT)
    assert again.sketch.seed != helper.sketch.seed
    assert again.salt != helper.salt
    assert again.verify_key != helper.verify_key
    assert not np.array_equal(again.sketch.c, helper.sketch.c)


def test_at_most_two_candidates_in_all_users_together() -> None:
    rng = np.random.default_rng(5)
    x = someone(P, rng)
    sketches = [enrolled(attempt(P, x, 1.0, rng))[0] for _ in range(6)]
    assert len(EXTRACTOR.candidates(x, sketches)) == MAX_CANDIDATES == 2
    assert len(EXTRACTOR.candidates(x, sketches, 1)) == 1
    assert EXTRACTOR.candidates(x, []) == []


def test_the_radius_shrinks_with_whom_an_attempt_may_match_and_while_better_looks_are_to_come() -> None:
    many = 2**31
    rng = np.random.default_rng(9)
    x = someone(P, rng)
    sketch, _ = enrolled(x)
    # Far inside what is decoded for sure, so that the radius alone decides.
    assert P.radius(many) < GUARANTEED
    inside, outside = (attempt(P, x, part * P.radius(many), rng) for part in (0.975, 1.025))
    assert EXTRACTOR.candidates(inside, [sketch], users=many)
    assert not EXTRACTOR.candidates(inside, [sketch], users=many, early=True)
    assert not EXTRACTOR.candidates(outside, [sketch], users=many)
    assert EXTRACTOR.candidates(outside, [sketch], early=True)


def test_the_nearest_come_first_whosever_they_are() -> None:
    rng = np.random.default_rng(10)
    x = someone(P, rng)
    near, far = enrolled(attempt(P, x, 1.0, rng)), enrolled(attempt(P, x, 0.9 * GUARANTEED, rng))
    for pairs in ([near, far], [far, near]):
        (first, *_) = EXTRACTOR.candidates(x, [sketch for sketch, _ in pairs])
        assert np.array_equal(first.point, near[1])


def test_the_owner_is_found_among_many_users() -> None:
    rng = np.random.default_rng(6)
    people = [someone(P, rng) for _ in range(20)]
    pairs = [enrolled(x) for x in people]
    found = EXTRACTOR.candidates(attempt(P, people[13], 2.0, rng), [sketch for sketch, _ in pairs])
    assert found[0].index == 13
    assert np.array_equal(found[0].point, pairs[13][1])


def test_c_alone_is_uniform() -> None:
    """Over fresh points the sketch of one fixed face takes every residue alike: chi squared over 16 bins."""
    x = someone(P, np.random.default_rng(8))
    values = np.concatenate([enrolled(x)[0].c for _ in range(200)])
    counts = np.bincount(values * 16 // P.lattice.modulus, minlength=16)
    assert ((counts - len(values) / 16) ** 2 / (len(values) / 16)).sum() < 50


@pytest.mark.parametrize(
    "bad",
    [np.full(D, np.nan), np.full(D, np.inf), np.zeros(D), np.full(D, D**-0.5), np.ones(D - 1) / (D - 1) ** 0.5],
    ids=["nan", "infinite", "zero", "constant", "short"],
)
def test_embeddings_without_a_face_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(EmbeddingError):
        EXTRACTOR.project(bad)


@pytest.mark.parametrize(("length", "usable"), [(0.998, False), (0.9995, True), (1.0005, True), (1.002, False)])
def test_an_embedding_has_length_one_within_what_float32_leaves(length: float, usable: bool) -> None:
    x = length * someone(P, np.random.default_rng(12))
    if usable:
        assert EXTRACTOR.project(x).shape == (P.k,)
    else:
        with pytest.raises(EmbeddingError, match="has no direction"):
            EXTRACTOR.project(x)


def test_what_is_made_with_a_seed_keeps_it() -> None:
    x = someone(P, np.random.default_rng(13))
    assert EXTRACTOR.generate(x, CONTEXT, seed=b"s" * 32).sketch.seed == b"s" * 32


def test_a_moved_sketch_under_a_new_header_opens_to_the_same_secret_and_the_old_one_no_more(
    anna: tuple[np.ndarray, HelperData],
) -> None:
    x, helper = anna
    (candidate, *_) = EXTRACTOR.candidates(x, [helper.sketch])
    look = attempt(P, x, 1.0, np.random.default_rng(3))
    sketch, new = EXTRACTOR.sketch(look, helper.sketch.seed, candidate.point), replace(CONTEXT, header=b"next header")
    moved = EXTRACTOR.rebind(candidate.point, helper, sketch, CONTEXT, new)
    assert moved is not None
    secret = EXTRACTOR.secret(candidate.point, helper, CONTEXT)
    assert secret is not None
    assert EXTRACTOR.secret(candidate.point, moved, new) == secret
    assert EXTRACTOR.secret(candidate.point, moved, CONTEXT) is None
    assert EXTRACTOR.secret(candidate.point, replace(moved, sketch=helper.sketch), new) is None
    assert moved == replace(helper, sketch=sketch, wrapped=moved.wrapped)
    assert moved.wrapped[: keys.NONCE_BYTES] != helper.wrapped[: keys.NONCE_BYTES]


def test_a_wrong_point_moves_nothing(anna: tuple[np.ndarray, HelperData]) -> None:
    x, helper = anna
    wrong = P.lattice.draw(os.urandom)
    sketch = EXTRACTOR.sketch(x, helper.sketch.seed, wrong)
    assert EXTRACTOR.rebind(wrong, helper, sketch, CONTEXT, replace(CONTEXT, header=b"next header")) is None
