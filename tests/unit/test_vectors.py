# SPDX-License-Identifier: Apache-2.0
"""Every file in tests/vectors/, through the product and through the second implementation."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from nacl.pwhash import argon2id
from nacl.signing import VerifyKey

from facelatch import parameters
from facelatch.daemon.signature import Statement
from facelatch.errors import (
    EmbeddingError,
    RecordCorruptError,
    RecordError,
    RecordKeyError,
    RecordParameterError,
    RecordVersionError,
)
from facelatch.l2fe import keys
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.kdf import kdf
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Account, Header, bind, require_parameters, unseal
from tests import make_vectors, reference
from tests.reference_lattice import Reason, RefusedError
from tests.vector_base import Stream
from tests.vector_base import parameters as reference_parameters

VECTORS = Path(__file__).parents[1] / "vectors"
P = parameters.read("standard")
EXTRACTOR = Extractor(P)
OUTCOMES: dict[type[RecordError], str] = {
    RecordCorruptError: "corrupt",
    RecordVersionError: "another version",
    RecordKeyError: "another device key",
    RecordParameterError: "another parameter set",
}
# Probes stand closer than this or beyond the accept radius; the second implementation searches no further.
NEAR = 6.0


class RecordVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of tests/vectors/record."""

    about: str
    expect: str
    parameters: str
    device_key: str
    name: str
    probe: str
    file: str
    user: str | None = None
    generation: int | None = None
    administrator: bool | None = None
    secret: str | None = None

    def success(self) -> tuple[object, ...]:
        """What opening it is to give, besides its outcome."""
        return self.user, self.generation, self.administrator, self.secret


class GenVector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file gen.json."""

    about: str
    parameters: str
    device_key: str
    user: str
    record_id: str
    random: str
    seed: str
    point: str
    w: str
    c: str
    salt: str
    pw: str
    stretched: str
    wrapping_key: str
    secret: str
    ed25519: str
    x25519: str
    enrolled_usec: int
    bound: str
    wrapped: str
    plain: str
    refused: dict[str, str]


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement of signature.json."""

    name: str
    user: str
    audience: str
    peer_uid: int
    time_usec: int
    challenge: str
    statement: str
    signature: str


class Forged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim of signature.json that a signature does not bear out."""

    name: str
    user: str
    audience: str
    peer_uid: int
    time_usec: int
    challenge: str
    device_key: str
    signature: str


class SignatureVectors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file signature.json."""

    about: str
    device_key: str
    device_id: str
    secret: str
    public_key: str
    vectors: list[Signed]
    refused: list[Forged]


class Derived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A derivation of kdf.json."""

    key: str
    label: str
    derived: str


class Underivable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kdf.json has refused."""

    name: str
    key: str
    label: str


class KdfVectors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file kdf.json."""

    about: str
    vectors: list[Derived]
    refused: list[Underivable]


def read(path: str) -> bytes:
    return (VECTORS / path).read_bytes()


EMBEDDINGS = msgspec.json.decode(read("embeddings.json"), type=dict[str, str | int])
RECORDS = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=RecordVector)
    for path in sorted((VECTORS / "record").glob("*.json"))
}
GEN = msgspec.json.decode(read("gen.json"), type=GenVector)
SIGNATURE = msgspec.json.decode(read("signature.json"), type=SignatureVectors)
KDF = msgspec.json.decode(read("kdf.json"), type=KdfVectors)


def over_denominator(values: str) -> list[float]:
    return [float(value) / int(EMBEDDINGS["denominator"]) for value in values.split()]


def face(name: str) -> list[float]:
    return over_denominator(str(EMBEDDINGS[name]))


@pytest.fixture(autouse=True, scope="module")
def argon2id_runs_once_for_equal_arguments() -> Iterator[None]:
    """Most vectors share one password and salt; the real thing is run for each that differs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2id, "kdf", functools.lru_cache(maxsize=256)(argon2id.kdf))
        yield


def product_opens(vector: RecordVector) -> tuple[str, tuple[object, ...]]:
    """Open a vector as the daemon does: the outcome, and what came of a success."""
    device_key = HostFileKey(bytes.fromhex(vector.device_key))
    try:
        record = unseal(bytes.fromhex(vector.file), device_key, vector.name.removesuffix(".rec"))
        require_parameters(record, P.digest, P.lattice.modulus, P.k)
    except RecordError as error:
        return OUTCOMES[type(error)], (None,) * 4
    helper = record.helper
    for candidate in EXTRACTOR.candidates(face(vector.probe), [helper.sketch]):
        secret = EXTRACTOR.secret(candidate.point, helper, record.context(device_key))
        if secret is not None:
            assert bytes(keys.signing_key(secret).verify_key) == helper.verify_key
            assert bytes(keys.sealing_key(secret).public_key) == helper.seal_key
            header = record.header
            return "success", (header.user, header.generation, record.account.administrator, secret.hex())
    return "no match", (None,) * 4


def reference_opens(vector: RecordVector) -> tuple[str, tuple[object, ...]]:
    """The same with the second implementation."""
    device_key, record_id = bytes.fromhex(vector.device_key), bytes.fromhex(vector.name.removesuffix(".rec"))
    p = reference_parameters()
    try:
        record = reference.open_record(bytes.fromhex(vector.file), record_id, device_key, p)
        secret = reference.rep(p, device_key, face(vector.probe), record, NEAR).big_s
    except RefusedError as error:
        return str(error.reason), (None,) * 4
    assert reference.public_keys(secret) == (record.ed25519, record.x25519)
    return "success", (record.user, record.generation, bool(record.flags), secret.hex())


@pytest.mark.parametrize("name", RECORDS)
def test_the_product_gives_the_expected_outcome(name: str) -> None:
    assert product_opens(RECORDS[name]) == (RECORDS[name].expect, RECORDS[name].success())


@pytest.mark.parametrize("name", RECORDS)
def test_the_second_implementation_gives_the_expected_outcome(name: str) -> None:
    assert reference_opens(RECORDS[name]) == (RECORDS[name].expect, RECORDS[name].success())


def test_every_outcome_has_a_vector() -> None:
    assert {vector.expect for vector in RECORDS.values()} == {"success", *OUTCOMES.values(), Reason.NO_MATCH}
    assert {vector.parameters for vector in RECORDS.values()} == {P.digest.hex()}


def test_the_vectors_are_what_their_generator_writes_and_nothing_else() -> None:
    made = make_vectors.files()
    present = {path.relative_to(VECTORS).as_posix() for path in VECTORS.rglob("*.json")}
    assert present == {"rotation.json", *made}
    for path, content in made.items():
        assert (VECTORS / path).read_text(encoding="utf-8") == content, path


def test_the_embeddings_have_length_one_exactly_and_the_stranger_is_far() -> None:
    for name in ("enrolled", "near", "stranger"):
        assert sum(int(value) ** 2 for value in str(EMBEDDINGS[name]).split()) == int(EMBEDDINGS["denominator"]) ** 2
    enrolled = EXTRACTOR.project(face("enrolled"))
    near, stranger = (EXTRACTOR.expect(face(name)) for name in ("near", "stranger"))
    assert 1 < np.linalg.norm(near - enrolled) < NEAR
    assert np.linalg.norm(stranger - enrolled) > P.accept_radius


def test_gen_agrees_with_the_vector_at_every_step() -> None:
    taken = Stream("gen")
    device_key = HostFileKey(bytes.fromhex(GEN.device_key))
    head = Header(bytes.fromhex(GEN.parameters), device_key.key_id, bytes.fromhex(GEN.record_id), 0, GEN.user)
    account = Account(administrator=False, enrolled_usec=GEN.enrolled_usec)
    context = bind(head, account, device_key.derive("pepper"))
    helper = EXTRACTOR.generate(face("enrolled"), context, random=taken)
    assert taken.so_far().hex() == GEN.random
    assert helper.sketch.seed.hex() == GEN.seed
    assert helper.sketch.c.tolist() == list(map(int, GEN.c.split()))
    assert (helper.salt.hex(), helper.wrapped.hex()) == (GEN.salt, GEN.wrapped)
    assert (helper.verify_key.hex(), helper.seal_key.hex()) == (GEN.ed25519, GEN.x25519)
    assert helper.bound(context.header).hex() == GEN.bound
    assert GEN.plain == GEN.bound + GEN.wrapped
    (candidate,) = EXTRACTOR.candidates(face("enrolled"), [helper.sketch], 1)
    assert candidate.point.tolist() == list(map(int, GEN.point.split()))
    modulus = P.lattice.modulus
    w = (helper.sketch.c - candidate.point) % modulus
    assert w.tolist() == [int(value) % modulus for value in GEN.w.split()]
    stretched = keys.stretch(
        candidate.point.astype("<u2").tobytes(),
        pepper=context.pepper,
        binding=(P.digest, context.user, context.record_id, helper.sketch.seed),
        salt=helper.salt,
        cost=P.argon2id,
    )
    assert (stretched.hex(), kdf(stretched, "wrap").hex()) == (GEN.stretched, GEN.wrapping_key)
    assert EXTRACTOR.secret(candidate.point, helper, context) == bytes.fromhex(GEN.secret)


@pytest.mark.parametrize("values", GEN.refused.values(), ids=GEN.refused.keys())
def test_gen_refuses_what_is_no_embedding(values: str) -> None:
    x = over_denominator(values)
    device_key, record_id = HostFileKey(bytes.fromhex(GEN.device_key)), bytes.fromhex(GEN.record_id)
    head = Header(P.digest, device_key.key_id, record_id, 0, GEN.user)
    context = bind(head, Account(administrator=False, enrolled_usec=GEN.enrolled_usec), device_key.derive("pepper"))
    with pytest.raises(EmbeddingError):
        EXTRACTOR.generate(x, context, random=Stream("gen"))
    rest = GEN.user, record_id, GEN.enrolled_usec, Stream("gen")
    with pytest.raises(RefusedError) as refused:
        reference.gen(reference_parameters(), bytes.fromhex(GEN.device_key), x, *rest)
    assert refused.value.reason is Reason.FACE


def test_the_constant_one_is_refused_for_nothing_else() -> None:
    assert abs(np.linalg.norm(over_denominator(GEN.refused["constant"])) - 1) < 1e-4


@pytest.mark.parametrize("vector", SIGNATURE.vectors, ids=lambda vector: vector.name)
def test_signatures_agree_byte_for_byte(vector: Signed) -> None:
    device_key, secret = bytes.fromhex(SIGNATURE.device_key), bytes.fromhex(SIGNATURE.secret)
    device_id = HostFileKey(device_key).derive("device-id")[:16]
    assert device_id.hex() == SIGNATURE.device_id
    rest = vector.user, vector.audience, vector.peer_uid, vector.time_usec, bytes.fromhex(vector.challenge)
    statement = Statement(device_id, *rest).encode()
    assert statement.hex() == reference.statement(device_key, *rest).hex() == vector.statement
    signature = keys.signing_key(secret).sign(statement).signature
    assert signature.hex() == reference.sign(secret, statement).hex() == vector.signature
    VerifyKey(bytes.fromhex(SIGNATURE.public_key)).verify(statement, signature)


@pytest.mark.parametrize("vector", SIGNATURE.refused, ids=lambda vector: vector.name)
def test_a_claim_with_one_thing_wrong_is_not_signed(vector: Forged) -> None:
    rest = vector.user, vector.audience, vector.peer_uid, vector.time_usec, bytes.fromhex(vector.challenge)
    statement = Statement(HostFileKey(bytes.fromhex(vector.device_key)).derive("device-id")[:16], *rest).encode()
    assert statement == reference.statement(bytes.fromhex(vector.device_key), *rest)
    # Nacl names a signature of the wrong size a wrong value, and all others a bad signature.
    with pytest.raises((BadSignatureError, NaclValueError)):
        VerifyKey(bytes.fromhex(SIGNATURE.public_key)).verify(statement, bytes.fromhex(vector.signature))


def test_every_part_of_a_statement_has_a_vector_in_which_it_alone_is_wrong() -> None:
    true = SIGNATURE.vectors[0]
    whole = msgspec.structs.asdict(true) | {"device_key": SIGNATURE.device_key}
    changed = [
        {field for field, value in msgspec.structs.asdict(vector).items() if field != "name" and value != whole[field]}
        for vector in SIGNATURE.refused
    ]
    for field in ("user", "audience", "peer_uid", "time_usec", "challenge", "device_key", "signature"):
        assert {field} in changed


def test_statements_that_differ_only_in_where_a_name_ends_differ() -> None:
    assert len({vector.statement for vector in SIGNATURE.vectors}) == len(SIGNATURE.vectors)


@pytest.mark.parametrize("vector", KDF.vectors, ids=lambda vector: f"{vector.label}-{vector.key[:2]}")
def test_derivations_agree(vector: Derived) -> None:
    key = bytes.fromhex(vector.key)
    assert kdf(key, vector.label).hex() == reference.kdf(key, vector.label).hex() == vector.derived


@pytest.mark.parametrize("vector", KDF.refused, ids=lambda vector: vector.name)
def test_a_derivation_without_a_whole_key_or_a_label_is_refused(vector: Underivable) -> None:
    with pytest.raises(ValueError, match="key"):
        kdf(bytes.fromhex(vector.key), vector.label)
    with pytest.raises(RefusedError) as refused:
        reference.kdf(bytes.fromhex(vector.key), vector.label)
    assert refused.value.reason is Reason.KEY
