# SPDX-License-Identifier: Apache-2.0
"""Writes tests/vectors/ with the second implementation: `python -m tests.make_vectors`. Same bytes every time."""

import json
import math
from pathlib import Path

from tests import parameter_cases, record_cases, seal_cases
from tests.reference import blake2b, device_id, frame, gen, kdf, public_keys, sign, statement, u16
from tests.reference_lattice import centred
from tests.vector_base import (
    DENOMINATOR,
    DEVICE_KEY,
    NOW,
    OTHER_KEY,
    RECORD_ID,
    USER,
    Stream,
    embedding,
    faces,
    flip,
    parameters,
)

VECTORS = Path(__file__).parent / "vectors"


def record_vector(case: record_cases.Case) -> dict[str, object]:
    """A record vector as its file has it."""
    head = {"about": case.about, "expect": case.expect, "parameters": parameters().digest.hex()}
    opening = {"device_key": case.device_key.hex(), "name": f"{case.record_id.hex()}.rec", "probe": case.probe}
    return {**head, **opening, **dict(case.more), "file": case.file.hex()}


def seal_vector(case: seal_cases.Case) -> dict[str, object]:
    """A vector of a sealed secret as its file has it."""
    asked = {"user": case.user, "record_id": case.record_id.hex(), "secret_name": case.asked_for}
    opening = {"device_key": case.device_key.hex(), "name": case.name, **asked, "public_key": case.public_key.hex()}
    found = {} if case.secret is None else {"secret": case.secret.hex()}
    head = {"about": case.about, "expect": case.expect}
    return {**head, **opening, "unlocked": case.unlocked.hex(), **found, "file": case.file.hex()}


def parameter_vector(case: parameter_cases.Case) -> dict[str, object]:
    """A vector of a parameter set as its file has it."""
    return {"about": case.about, "expect": case.expect, "file": case.file.hex()}


def no_embeddings() -> dict[str, str]:
    """The face 'enrolled' with one thing wrong each, as its file has them."""
    good = [str(value) for value in faces()["enrolled"]]
    alike = round(DENOMINATOR / math.sqrt(len(good)), 2)  # of length 1 within the tolerance, but of no direction
    return {
        "one-short": " ".join(good[:-1]),
        "one-long": " ".join([*good, "0"]),
        "empty": "",
        "not-a-number": " ".join(["nan", *good[1:]]),
        "infinite": " ".join(["inf", *good[1:]]),
        "zeros": " ".join("0" for _ in good),
        "constant": " ".join(str(alike) for _ in good),
        "too-long": " ".join(str(int(value) * 2) for value in good),
        "too-short": " ".join(str(int(value) / 2) for value in good),
    }


def gen_vector() -> dict[str, object]:
    """Gen with every value on the way."""
    p, stream = parameters(), Stream("gen")
    record, opened = gen(p, DEVICE_KEY, embedding(faces()["enrolled"]), USER, RECORD_ID, NOW, stream)
    w = [centred(a - b, p.modulus) for a, b in zip(record.c, opened.point, strict=True)]
    parts = p.digest, USER.encode(), RECORD_ID, record.seed, u16(opened.point)
    return {
        "about": "Gen of the face 'enrolled' (embeddings.json), values in the order in which they arise; no faces",
        "parameters": p.digest.hex(),
        "device_key": DEVICE_KEY.hex(),
        "user": USER,
        "record_id": RECORD_ID.hex(),
        "random": stream.so_far().hex(),
        "seed": record.seed.hex(),
        "point": " ".join(map(str, opened.point)),
        "w": " ".join(map(str, w)),
        "c": " ".join(map(str, record.c)),
        "salt": record.salt.hex(),
        "pw": blake2b(kdf(DEVICE_KEY, "pepper"), frame(b"facelatch/l2fe/1", *parts)).hex(),
        "stretched": opened.stretched.hex(),
        "wrapping_key": kdf(opened.stretched, "wrap").hex(),
        "secret": opened.big_s.hex(),
        "ed25519": record.ed25519.hex(),
        "x25519": record.x25519.hex(),
        "enrolled_usec": NOW,
        "bound": record.bound().hex(),
        "wrapped": record.wrapped.hex(),
        "plain": record.plain().hex(),
        "refused": no_embeddings(),
    }


def signature_vectors() -> dict[str, object]:
    """Statements and their signatures under a fixed S."""
    secret = bytes(range(64, 96))
    found = []
    for name, user, audience, uid, time, challenge in (
        ("plain", "anna", "doorbell", 1000, NOW, bytes(range(32))),
        ("shortest-challenge", "anna", "doorbell", 0, 0, bytes(16)),
        ("longest-challenge", "anna", "doorbell", 2**32 - 1, 2**64 - 1, b"\xff" * 64),
        ("not-ascii", "änna", "tür", 1000, NOW, bytes(range(32))),
        ("boundary-moved", "annad", "oorbell", 1000, NOW, bytes(range(32))),
    ):
        message = statement(DEVICE_KEY, user, audience, uid, time, challenge)
        fields = {"name": name, "user": user, "audience": audience, "peer_uid": uid, "time_usec": time}
        signed = {"statement": message.hex(), "signature": sign(secret, message).hex()}
        found.append({**fields, "challenge": challenge.hex(), **signed})
    true = {
        "user": "anna",
        "audience": "doorbell",
        "peer_uid": 1000,
        "time_usec": NOW,
        "challenge": bytes(range(32)).hex(),
    }
    signature = sign(secret, statement(DEVICE_KEY, "anna", "doorbell", 1000, NOW, bytes(range(32))))
    kept: dict[str, object] = {**true, "device_key": DEVICE_KEY.hex(), "signature": signature.hex()}
    others: dict[str, dict[str, object]] = {
        "device": {"device_key": OTHER_KEY.hex()},
        "user": {"user": "emil"},
        "audience": {"audience": "back-door"},
        "boundary": {"user": "annad", "audience": "oorbell"},
        "peer-uid": {"peer_uid": 1001},
        "time": {"time_usec": NOW + 1},
        "challenge": {"challenge": bytes(range(1, 33)).hex()},
        "signature-first-half": {"signature": flip(signature, 0).hex()},
        "signature-second-half": {"signature": flip(signature, 32).hex()},
        "signature-truncated": {"signature": signature[:-1].hex()},
        "signature-of-zeros": {"signature": bytes(64).hex()},
        "signature-of-another": {
            "signature": sign(bytes(32), statement(DEVICE_KEY, "anna", "doorbell", 1000, NOW, bytes(range(32)))).hex()
        },
    }
    refused = [{"name": name, **kept, **change} for name, change in others.items()]
    return {
        "about": "what a signature covers, and the signature, under a fixed S; what has one thing wrong",
        "device_key": DEVICE_KEY.hex(),
        "device_id": device_id(DEVICE_KEY).hex(),
        "secret": secret.hex(),
        "public_key": public_keys(secret)[0].hex(),
        "vectors": found,
        "refused": refused,
    }


def kdf_vectors() -> dict[str, object]:
    """Every label of the document, under two keys; the longest key there may be."""
    labels = (
        "record",
        "pepper",
        "key-id",
        "device-id",
        "secret",
        "secret-name",
        "lockout",
        "wrap",
        "sign",
        "seal",
    )
    found = [
        {"key": key.hex(), "label": label, "derived": kdf(key, label).hex()}
        for key in (DEVICE_KEY, OTHER_KEY)
        for label in labels
    ]
    longest = bytes(range(64))
    found.append({"key": longest.hex(), "label": "record", "derived": kdf(longest, "record").hex()})
    refused = [
        {"name": name, "key": key.hex(), "label": label}
        for name, key, label in (
            ("no-key", b"", "record"),
            ("one-byte-short", DEVICE_KEY[:-1], "record"),
            ("one-byte-beyond", bytes(65), "record"),
            ("no-label", DEVICE_KEY, ""),
        )
    ]
    return {"about": "KDF(key, label), all 32 bytes; what is refused", "vectors": found, "refused": refused}


def files() -> dict[str, str]:
    """Every file that this makes, by its path under tests/vectors."""
    about = f"unit embeddings as whole numbers over {DENOMINATOR}; made up, nobody's face"
    known = {name: " ".join(map(str, values)) for name, values in faces().items()}
    made: dict[str, object] = {
        "embeddings.json": {"about": about, "denominator": DENOMINATOR, **known},
        "gen.json": gen_vector(),
        "signature.json": signature_vectors(),
        "kdf.json": kdf_vectors(),
        **{f"parameters/{name}.json": parameter_vector(case) for name, case in parameter_cases.cases().items()},
        **{f"record/{name}.json": record_vector(case) for name, case in record_cases.cases().items()},
        **{f"seal/{name}.json": seal_vector(case) for name, case in seal_cases.cases().items()},
    }
    return {path: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for path, content in made.items()}


def main() -> None:
    """Write them all, and remove vectors that are no more."""
    made = files()
    for folder in ("parameters", "record", "seal"):
        (VECTORS / folder).mkdir(exist_ok=True)
        for old in (VECTORS / folder).glob("*.json"):
            if f"{folder}/{old.name}" not in made:
                old.unlink()
    for path, content in made.items():
        (VECTORS / path).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
