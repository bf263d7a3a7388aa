# SPDX-License-Identifier: Apache-2.0
"""The product and the second implementation, written from docs/crypto.md alone, say the same."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facelatch import parameters
from facelatch.daemon.signature import Statement
from facelatch.errors import EmbeddingError, RecordCorruptError, RecordParameterError
from facelatch.l2fe import keys, refresh
from facelatch.l2fe.extractor import Context, Extractor, HelperData, Sketch
from facelatch.l2fe.framing import frame
from facelatch.l2fe.kdf import kdf
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Account, Header, Record, bind, rekeyed, require_parameters, seal, unseal
from tests import reference
from tests.faces import attempt, moved, someone
from tests.reference_lattice import Reason, RefusedError, nearest_point
from tests.vector_base import (
    DEVICE_KEY,
    NOW,
    OTHER_ID,
    OTHER_KEY,
    RECORD_ID,
    USER,
    Stream,
    embedding,
    faces,
)
from tests.vector_base import enrolled as reference_enrolled
from tests.vector_base import parameters as reference_parameters

P = parameters.read("standard")
EXTRACTOR = Extractor(P)
D = len(P.projection.mean)
KEY = HostFileKey(DEVICE_KEY)
DAY = reference.DAY
FACE = embedding(faces()["enrolled"])

names = st.text(max_size=63).filter(lambda text: len(text.encode("utf-8", "replace")) <= 255)
u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)


def plain_face(seed: int) -> list[float]:
    """A made-up face as plain floats, for both."""
    values: list[float] = someone(P, np.random.default_rng(seed)).tolist()
    return values


def header(record: reference.Record) -> Header:
    return Header(record.parameters, record.key_id, record.record_id, record.generation, record.user)


def account(record: reference.Record) -> Account:
    return Account(bool(record.flags), record.enrolled, record.refreshes, record.refreshed)


def bound(record: reference.Record) -> Context:
    """What the product binds a record's key to."""
    return bind(header(record), account(record), record.pepper or KEY.derive("pepper"))


def as_product(record: reference.Record) -> Record:
    """The same record in the product's types."""
    sketch = Sketch(record.seed, np.array(record.c, dtype=np.int64))
    helper = HelperData(sketch, record.salt, record.wrapped, record.ed25519, record.x25519)
    return Record(header(record), account(record), helper, record.pepper or None)


@pytest.mark.parametrize(
    "x",
    [[0.0] * D, [D**-0.5] * D, [1.0] + [0.0] * (D - 2), [1.0, math.nan] + [0.0] * (D - 2), [1.002] + [0.0] * (D - 1)],
)
def test_both_refuse_what_is_no_embedding(x: list[float]) -> None:
    with pytest.raises(EmbeddingError):
        EXTRACTOR.project(x)
    with pytest.raises(RefusedError) as refused:
        reference.usable(x, reference_parameters())
    assert refused.value.reason is Reason.FACE


@pytest.mark.parametrize("number", range(3))
def test_gen_with_the_same_randomness_makes_the_same_file(number: int) -> None:
    face, mine, theirs = plain_face(number), Stream(f"agree {number}"), Stream(f"agree {number}")
    record, opened = reference.gen(reference_parameters(), DEVICE_KEY, face, "jürgen", RECORD_ID, NOW, mine)
    helper = EXTRACTOR.generate(face, bound(record), random=theirs)
    product = Record(header(record), account(record), helper)
    assert seal(product, KEY, theirs) == reference.seal_plain(record.plain(), DEVICE_KEY, mine(24))
    assert mine.so_far() == theirs.so_far()
    (candidate,) = EXTRACTOR.candidates(face, [helper.sketch], 1)
    assert candidate.point.tolist() == opened.point


def test_gen_in_place_of_a_record_keeps_its_rotation_and_counts_a_generation() -> None:
    before, _ = reference_enrolled()
    mine, theirs = Stream("again"), Stream("again")
    record, _ = reference.gen(reference_parameters(), DEVICE_KEY, plain_face(1), USER, RECORD_ID, NOW, mine, before)
    assert (record.seed, record.generation) == (before.seed, 1)
    helper = EXTRACTOR.generate(plain_face(1), bound(record), seed=before.seed, random=theirs)
    assert helper.wrapped == record.wrapped
    assert helper.sketch.c.tolist() == record.c


@given(seed=u32, distance=st.floats(0, 6.0))
@settings(deadline=None, max_examples=20)
def test_rep_finds_the_same_point(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    face, p = someone(P, rng), reference_parameters()
    point = P.lattice.draw(rng.bytes)
    sketch = EXTRACTOR.sketch(face, rng.bytes(32), point)
    near = attempt(P, face, distance, rng)
    fast = EXTRACTOR.candidates(near, [sketch])[0].point.tolist()
    shift = reference.in_lattice_units(p, sketch.seed, p.expected(p.face(near.tolist())))
    t = [float(a - b) for a, b in zip(sketch.c.tolist(), shift, strict=True)]
    seen = float(np.linalg.norm(EXTRACTOR.expect(near) - EXTRACTOR.project(face)))
    slow = nearest_point(p, t, (seen + 0.5) * p.scale)
    assert slow is not None
    assert fast == [value % p.modulus for value in slow] == point.tolist()


def test_each_opens_what_the_other_enrolled() -> None:
    p = reference_parameters()
    face = someone(P, np.random.default_rng(3))
    near = attempt(P, face, 2.0, np.random.default_rng(4))
    head = Header(P.digest, KEY.key_id, OTHER_ID, 0, USER)
    admin = Account(administrator=True, enrolled_usec=NOW)
    made = Record(head, admin, EXTRACTOR.generate(face, bind(head, admin, KEY.derive("pepper"))))
    record = reference.open_record(seal(made, KEY), OTHER_ID, DEVICE_KEY, p)
    opened = reference.rep(p, DEVICE_KEY, near.tolist(), record)
    assert reference.public_keys(opened.big_s) == (made.helper.verify_key, made.helper.seal_key)

    slow, made_with = reference.gen(p, DEVICE_KEY, face.tolist(), USER, RECORD_ID, NOW, Stream("slow"))
    product = unseal(reference.seal_plain(slow.plain(), DEVICE_KEY, bytes(24)), KEY, RECORD_ID.hex())
    require_parameters(product, P.digest, P.lattice.modulus, P.k)
    (candidate,) = EXTRACTOR.candidates(near, [product.helper.sketch], 1)
    assert EXTRACTOR.secret(candidate.point, product.helper, product.context(KEY)) == made_with.big_s


@given(
    user=names,
    flags=st.integers(0, 1),
    generation=u32,
    enrolled=u64,
    refreshed=u64,
    refreshes=st.integers(0, 65535),
    filling=st.binary(min_size=184, max_size=184),
    pepper=st.sampled_from([0, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    c=st.lists(st.integers(0, P.lattice.modulus - 1), min_size=P.k, max_size=P.k),
)
@settings(deadline=None)
def test_records_sealed_by_either_open_in_the_other(
    user: str,
    flags: int,
    generation: int,
    enrolled: int,
    refreshed: int,
    refreshes: int,
    filling: bytes,
    pepper: bytes,
    c: list[int],
) -> None:
    head = P.digest, filling[:8] if pepper else KEY.key_id, RECORD_ID, generation, user
    history = flags, enrolled, refreshes, refreshed
    seed, salt, wrapped, ed25519, x25519 = struct.unpack("<32s16s72s32s32s", filling)
    record = reference.Record(*head, *history, seed, salt, wrapped, ed25519, x25519, c, pepper)
    file = reference.seal_plain(record.plain(), DEVICE_KEY, bytes(24))
    product = as_product(record)
    assert seal(product, KEY, bytes) == file
    assert seal(unseal(file, KEY, RECORD_ID.hex()), KEY, bytes) == file
    assert reference.open_record(seal(product, KEY), RECORD_ID, DEVICE_KEY, reference_parameters()) == record


def test_a_record_is_rekeyed_alike() -> None:
    record, _ = reference_enrolled()
    other = HostFileKey(OTHER_KEY)
    product = rekeyed(as_product(record), KEY)
    file = reference.seal_plain(reference.rekey(record, DEVICE_KEY).plain(), OTHER_KEY, bytes(24))
    assert seal(product, other, bytes) == file
    assert seal(rekeyed(unseal(file, other, RECORD_ID.hex()), other), KEY, bytes) == seal(product, KEY, bytes)
    assert product.context(other) == as_product(record).context(KEY)


@given(data=st.data())
@settings(deadline=None)
def test_both_refuse_or_both_read_an_altered_record_of_the_device(data: st.DataObject) -> None:
    plain = bytearray(reference_enrolled()[0].plain())
    plain[data.draw(st.integers(0, len(plain) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    del plain[data.draw(st.one_of(st.just(len(plain)), st.integers(0, len(plain)))) :]
    file = reference.seal_plain(bytes(plain), DEVICE_KEY, bytes(24))
    assert product_reads(file) == reference_reads(file)


def product_reads(file: bytes) -> bytes | str:
    try:
        product = unseal(file, KEY, RECORD_ID.hex())
        require_parameters(product, P.digest, P.lattice.modulus, P.k)
    except RecordCorruptError:
        return Reason.CORRUPT
    except RecordParameterError:
        return Reason.PARAMETERS
    return seal(product, KEY, bytes)


def reference_reads(file: bytes) -> bytes | str:
    try:
        record = reference.open_record(file, RECORD_ID, DEVICE_KEY, reference_parameters())
    except RefusedError as error:
        return error.reason
    return reference.seal_plain(record.plain(), DEVICE_KEY, bytes(24))


@given(key=st.binary(min_size=32, max_size=64), label=st.text(min_size=1).filter(str.isprintable))
@settings(deadline=None)
def test_derivations_agree(key: bytes, label: str) -> None:
    assert kdf(key, label) == reference.kdf(key, label)


@given(parts=st.lists(st.binary()))
@settings(deadline=None)
def test_frames_agree(parts: list[bytes]) -> None:
    assert frame(*parts) == reference.frame(*parts)


@given(secret=st.binary(min_size=32, max_size=32))
@settings(deadline=None)
def test_keys_of_a_secret_agree(secret: bytes) -> None:
    own = bytes(keys.signing_key(secret).verify_key), bytes(keys.sealing_key(secret).public_key)
    assert own == reference.public_keys(secret)


@given(user=names, audience=names, uid=u32, time=u64, challenge=st.binary(min_size=16, max_size=64))
@settings(deadline=None)
def test_signatures_agree(user: str, audience: str, uid: int, time: int, challenge: bytes) -> None:
    secret = bytes(range(32))
    statement = Statement(KEY.derive("device-id")[:16], user, audience, uid, time, challenge).encode()
    assert statement == reference.statement(DEVICE_KEY, user, audience, uid, time, challenge)
    assert keys.signing_key(secret).sign(statement).signature == reference.sign(secret, statement)


@pytest.mark.parametrize("distance", [0.5, 2.0, 4.0, 6.5])
def test_refreshes_agree_and_keep_every_key(distance: float) -> None:
    p = reference_parameters()
    record, opened = reference_enrolled()
    look = moved(P, np.array(FACE), distance, np.random.default_rng(int(distance * 2)))
    mine = reference.refresh(p, record, opened, p.face(look.tolist()), NOW + DAY, Stream("move"))
    product, point = as_product(record), np.array(opened.point)
    sketch = refresh.recentre(EXTRACTOR, product.helper.sketch, point, look)
    assert mine is not None
    assert sketch is not None
    assert sketch.c.tolist() == mine.c
    new = bound(mine)
    helper = EXTRACTOR.rebind(point, product.helper, sketch, product.context(KEY), new, random=Stream("move"))
    assert helper is not None
    assert helper.wrapped == mine.wrapped
    assert (mine.generation, mine.refreshes, mine.refreshed) == (1, 1, NOW + DAY)
    assert reference.unwrap(mine, opened.stretched) == opened.big_s


@given(refreshes=st.integers(0, 10), refreshed=st.integers(0, 2), now=st.integers(-1, 4), second=st.integers(-1, 1))
@settings(deadline=None)
def test_refreshes_are_due_alike(refreshes: int, refreshed: int, now: int, second: int) -> None:
    record, opened = reference_enrolled()
    p, time = reference_parameters(), NOW + now * DAY + second
    changed = replace(record, refreshes=refreshes, refreshed=refreshed and NOW + refreshed * DAY)
    look = [value + 0.1 for value in p.face(FACE)]
    moved_on = reference.refresh(p, changed, opened, look, time, Stream("due"))
    assert (moved_on is not None) == refresh.due(refresh.History(NOW, changed.refreshed, refreshes), time)


@pytest.mark.parametrize(("part", "moves"), [(0.79, True), (0.81, False)])
def test_both_refresh_only_well_inside(part: float, moves: bool) -> None:
    p = reference_parameters()
    record, opened = reference_enrolled()
    look = moved(P, np.array(FACE), part * P.accept_radius, np.random.default_rng(9))
    slow = reference.refresh(p, record, opened, p.face(look.tolist()), NOW + DAY, Stream("edge"))
    fast = refresh.recentre(EXTRACTOR, as_product(record).helper.sketch, np.array(opened.point), look)
    assert (slow is not None, fast is not None) == (moves, moves)


def test_eight_refreshes_are_the_last_and_move_a_sketch_by_four_deviations_and_their_rounding() -> None:
    p = reference_parameters()
    record, opened = reference_enrolled()
    path, steps, now = 0.0, 0, NOW
    while True:
        now += DAY
        before = reference.enrolled_face(p, record, opened.point)
        after = reference.refresh(p, record, opened, [value + 1.0 for value in before], now, Stream(f"drift {steps}"))
        if after is None:
            break
        path += math.dist(before, reference.enrolled_face(p, after, opened.point))
        record, steps = after, steps + 1
    assert steps == 8
    assert abs(path - 4) < 8 * math.sqrt(p.k) / 2 / p.scale


def test_a_name_of_more_than_255_bytes_cannot_be_enrolled_by_either() -> None:
    with pytest.raises(struct.error):
        replace(reference_enrolled()[0], user="a" * 256).header()
    with pytest.raises(struct.error):
        Header(P.digest, KEY.key_id, RECORD_ID, 0, "a" * 256).encode()
