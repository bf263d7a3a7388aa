# SPDX-License-Identifier: Apache-2.0
"""The record vectors: files of which exactly one thing is wrong, or nothing, made with the second implementation.

`expect` is the outcome of opening the file as `name` with `device_key` and then looking with the face called `probe`.
"""

import hashlib
from dataclasses import dataclass, replace

from tests.reference import (
    ACCOUNT,
    DAY,
    HEADER,
    KEYS,
    WRAPPED_SIZE,
    Record,
    gen,
    kdf,
    key_id,
    refresh,
    rekey,
    seal_plain,
    wrap,
)
from tests.vector_base import (
    DEVICE_KEY,
    NOW,
    OTHER_ID,
    OTHER_KEY,
    RECORD_ID,
    THIRD_KEY,
    Stream,
    embedding,
    enrolled,
    faces,
    flip,
    parameters,
)


@dataclass(frozen=True)
class Case:
    """One vector: bytes of a file, how it is opened, and what comes of it."""

    about: str
    expect: str
    file: bytes
    device_key: bytes = DEVICE_KEY
    record_id: bytes = RECORD_ID
    probe: str = "enrolled"
    more: tuple[tuple[str, object], ...] = ()


def cases() -> dict[str, Case]:
    """Every record vector by name."""
    return {**sound(), **broken_outside(), **broken_inside(), **flipped(), **rekeyed(), **two_faults()}


def sealed(plain: bytes, label: str, device_key: bytes = DEVICE_KEY) -> bytes:
    """Seal under the record key, as its holder can seal anything."""
    return seal_plain(plain, device_key, Stream(f"seal: {label}")(24))


def success(about: str, record: Record, probe: str = "enrolled", device_key: bytes = DEVICE_KEY) -> Case:
    """A file that opens, and the key that the face finds."""
    more = {
        "user": record.user,
        "generation": record.generation,
        "administrator": bool(record.flags),
        "secret": enrolled()[1].big_s.hex(),
    }
    return Case(
        about, "success", sealed(record.plain(), about, device_key), device_key, RECORD_ID, probe, (*more.items(),)
    )


def no_match(about: str, record: Record, device_key: bytes = DEVICE_KEY, record_id: bytes = RECORD_ID) -> Case:
    """A file that opens, and is no use to the face it was made from."""
    return Case(about, "no match", sealed(record.plain(), about, device_key), device_key, record_id)


def corrupt(about: str, plain: bytes, device_key: bytes = DEVICE_KEY) -> Case:
    """What is in the seal cannot be a record."""
    return Case(about, "corrupt", sealed(plain, about, device_key), device_key)


# --- records


def named(user: str) -> Record:
    """A sound record of the same face under another name."""
    face = embedding(faces()["enrolled"])
    return gen(parameters(), DEVICE_KEY, face, user, RECORD_ID, NOW, Stream("gen"))[0]


def administrator() -> Record:
    """A sound record of an administrator: the same but for what is bound."""
    record, opened = enrolled()
    changed = replace(record, flags=1)
    return replace(changed, wrapped=wrap(changed, opened.stretched, opened.big_s, Stream("administrator")(24)))


def refreshed(record: Record) -> Record:
    """The record a day later, moved towards another look."""
    p = parameters()
    look = p.face(embedding(faces()["near"]))
    moved = refresh(p, record, enrolled()[1], look, NOW + DAY, Stream("refresh"))
    if moved is None:
        raise ValueError("the look is not well inside")
    return moved


def place_of_k(record: Record) -> int:
    """Where k stands in the plain record."""
    return HEADER.size + len(record.user.encode()) + ACCOUNT.size + KEYS.size - 2


def with_k(record: Record, k: int) -> bytes:
    """A plain record whose k is not the number of its entries."""
    plain, at = record.plain(), place_of_k(record)
    return plain[:at] + k.to_bytes(2, "little") + plain[at + 2 :]


# --- cases


def sound() -> dict[str, Case]:
    """Nothing wrong with the file."""
    record, _ = enrolled()
    later = refreshed(record)
    stranger = sealed(record.plain(), "stranger")
    return {
        "valid": success("A record, and the face it was made from.", record),
        "valid-near": success("Another look of the face.", record, "near"),
        "valid-administrator": success("An administrator.", administrator()),
        "valid-refreshed": success("Moved a quarter of the way to another look; generation 1.", later, "near"),
        "valid-name-of-255-bytes": success("The longest user name.", named("ä" * 127 + "a")),
        "stranger": Case("The file is sound, the face is another.", "no match", stranger, probe="stranger"),
    }


def broken_outside() -> dict[str, Case]:
    """What can be done to a file without the device key."""
    file = sealed(enrolled()[0].plain(), "outside")
    found: dict[str, Case] = {}
    for size in (0, 2, 3, 4, 11, 12, 24, 35, 36, 37, 44, 51, 52, 53, len(file) // 2, len(file) - 16, len(file) - 1):
        about = f"Cut after {size} of {len(file)} bytes."
        found[f"truncated-to-{size:04d}"] = Case(about, "corrupt", file[:size])
    found["trailing-byte-outside"] = Case("A byte more than the record has.", "corrupt", file + b"\0")
    found["version-outside"] = Case("Format 2 in the prefix.", "another version", file[:3] + b"\x02" + file[4:])
    relabelled = file[:4] + key_id(OTHER_KEY) + file[12:]
    found["key-id-of-another-device"] = Case(
        "The prefix names another device's key; all else is as it was.", "another device key", relabelled
    )
    found["relabelled-for-another-device"] = Case(
        "The prefix is made to name the key of the device that opens it.", "corrupt", relabelled, OTHER_KEY
    )
    found["another-device-key"] = Case("Opened on another device.", "another device key", file, OTHER_KEY)
    found["another-file-name"] = Case("Two files have exchanged names.", "corrupt", file, record_id=OTHER_ID)
    fields = {
        "magic": (0, "corrupt"),
        "version-in-prefix": (3, "another version"),
        "key-id": (4, "another device key"),
        "nonce": (12, "corrupt"),
        "ciphertext": (36, "corrupt"),
        "tag": (len(file) - 1, "corrupt"),
    }
    for field, (at, expect) in fields.items():
        about = f"A bit of the {field.replace('-', ' ')} is flipped."
        found[f"flipped-outside-{field}"] = Case(about, expect, flip(file, at))
    return found


def broken_inside() -> dict[str, Case]:
    """What a holder of the device key can write: the file opens, so only what is in it can be refused."""
    record, _ = enrolled()
    plain, p, later = record.plain(), parameters(), refreshed(record)
    after_user = HEADER.size + len(record.user)
    head, tail = plain[: HEADER.size - 1], plain[after_user:]
    at_k = place_of_k(record)
    at_wrapped = at_k + 2 + 2 * p.k
    other_set = sealed(replace(record, parameters=hashlib.sha256(b"another set").digest()).plain(), "other set")
    renamed, moved = replace(record, record_id=OTHER_ID), replace(record, key_id=key_id(OTHER_KEY))
    no_c = replace(record, c=[])
    return {
        "version-inside": corrupt("Format 2 in the header, 1 in the prefix.", b"\x02" + plain[1:]),
        "another-parameter-set": Case("The header has another parameter hash.", "another parameter set", other_set),
        "key-id-inside": corrupt("The header names another key than the prefix; there is no pepper.", moved.plain()),
        "moved-to-another-device": no_match("Header and all made to fit another device.", moved, OTHER_KEY),
        "record-id-inside": corrupt("The header has another record id than the file's name.", renamed.plain()),
        "swapped-record-id": no_match(
            "Another record id in the header and in the file's name.", renamed, record_id=OTHER_ID
        ),
        "swapped-user": no_match("Another user's name in the header.", replace(record, user="emil")),
        "later-generation": no_match("The header counts one generation more.", replace(record, generation=1)),
        "old-generation": no_match("A refreshed record counts as before.", replace(later, generation=0)),
        "old-account": no_match(
            "A refreshed record that was never refreshed, by its account.", replace(later, refreshes=0, refreshed=0)
        ),
        "old-wrapped": no_match(
            "A refreshed record with the wrapped secret from before.", replace(later, wrapped=record.wrapped)
        ),
        "old-c": no_match("A refreshed record with the c from before.", replace(later, c=record.c)),
        "unknown-flag": corrupt("A flag that this version does not know.", replace(record, flags=2).plain()),
        "name-not-utf-8": corrupt("The user's name is not UTF-8.", head + b"\x04an\xffa" + tail),
        "name-of-256-bytes": corrupt("A name of 256 bytes; its length says 0.", head + b"\0" + b"a" * 256 + tail),
        "name-longer-than-said": corrupt(
            "A name one byte longer than its length says.", head + b"\x03" + plain[HEADER.size :]
        ),
        "name-beyond-the-end": corrupt("The name's length runs over the end.", head + b"\xffanna"),
        "c-equal-to-modulus": corrupt("An entry of c is Q.", replace(record, c=[p.modulus, *record.c[1:]]).plain()),
        "c-of-65535": corrupt("An entry of c is the largest u16.", replace(record, c=[*record.c[:-1], 65535]).plain()),
        "c-one-short": corrupt("c has an entry less, and k says so.", replace(record, c=record.c[:-1]).plain()),
        "c-one-more": corrupt("c has an entry more, and k says so.", replace(record, c=[*record.c, 0]).plain()),
        "c-missing": corrupt("c is empty, and k says so.", no_c.plain()),
        "k-one-less": corrupt("k says an entry less than there are.", with_k(record, p.k - 1)),
        "k-one-more": corrupt("k says an entry more than there are.", with_k(record, p.k + 1)),
        "k-sixteen-less": corrupt("By k the last 32 bytes are a pepper.", with_k(record, p.k - 16)),
        "k-of-zero": corrupt("k says there is no c, but there is.", with_k(record, 0)),
        "k-of-65535": corrupt("k runs over the end.", with_k(record, 65535)),
        "trailing-byte-inside": corrupt("A byte behind the record.", plain + b"\0"),
        "truncated-in-header": corrupt("The header ends early.", plain[: HEADER.size - 1]),
        "truncated-in-account": corrupt("The account ends early.", plain[: after_user + 3]),
        "truncated-in-keys": corrupt("The public keys end early.", plain[: at_k - 1]),
        "truncated-in-k": corrupt("k ends early.", plain[: at_k + 1]),
        "truncated-in-c": corrupt("c ends early.", plain[: at_wrapped - 1]),
        "truncated-before-wrapped": corrupt("The wrapped secret is missing.", plain[:at_wrapped]),
        "truncated-in-wrapped": corrupt("The wrapped secret ends early.", plain[: at_wrapped + WRAPPED_SIZE - 1]),
        "empty-inside": corrupt("Nothing is in the seal; the file has 52 bytes.", b""),
    }


def flipped() -> dict[str, Case]:
    """One bit of each field of the plain record, sealed again: the face finds nothing any more."""
    record, _ = enrolled()
    changed = {
        "generation": replace(record, generation=2),
        "user": replace(record, user="ann`"),
        "flags": replace(record, flags=1),
        "enrolled": replace(record, enrolled=record.enrolled ^ 1),
        "refreshes": replace(record, refreshes=1),
        "refreshed": replace(record, refreshed=1),
        "seed": replace(record, seed=flip(record.seed, 0)),
        "salt": replace(record, salt=flip(record.salt, 0)),
        "ed25519-public-key": replace(record, ed25519=flip(record.ed25519, 0)),
        "x25519-public-key": replace(record, x25519=flip(record.x25519, 0)),
        "c-low-bit": replace(record, c=[record.c[0] ^ 1, *record.c[1:]]),
        "c-high-bit": replace(record, c=[record.c[0] ^ 2048, *record.c[1:]]),
        "wrapped-nonce": replace(record, wrapped=flip(record.wrapped, 0)),
        "wrapped-secret": replace(record, wrapped=flip(record.wrapped, 24)),
        "wrapped-tag": replace(record, wrapped=flip(record.wrapped, 71)),
    }
    return {
        f"flipped-{field}": no_match(f"A bit of {field.replace('-', ' ')} is flipped inside.", each)
        for field, each in changed.items()
    }


def rekeyed() -> dict[str, Case]:
    """Records under a later device key than the one they were made under."""
    record, _ = enrolled()
    moved = rekey(record, DEVICE_KEY)
    file = sealed(moved.plain(), "rekeyed", OTHER_KEY)
    found = {
        "rekeyed": success("Under a later device key, with the pepper of the first.", moved, device_key=OTHER_KEY),
        "rekeyed-twice": success("Under a third device key.", rekey(moved, OTHER_KEY), device_key=THIRD_KEY),
        "rekeyed-back": success("Under the first device key again; the pepper stays.", moved),
        "rekeyed-refreshed": success("Rekeyed, then refreshed.", refreshed(moved), probe="near", device_key=OTHER_KEY),
        "refreshed-rekeyed": success(
            "Refreshed, then rekeyed.", rekey(refreshed(record), DEVICE_KEY), probe="near", device_key=OTHER_KEY
        ),
        "rekeyed-under-the-old-key": Case("Opened with the key from before.", "another device key", file),
        "rekeyed-key-id-of-the-new": no_match(
            "The header is made to name the later key; pepper and all else are right.",
            replace(moved, key_id=key_id(OTHER_KEY)),
            OTHER_KEY,
        ),
        "rekeyed-pepper-of-the-new": no_match(
            "The pepper of the later key.", replace(moved, pepper=kdf(OTHER_KEY, "pepper")), OTHER_KEY
        ),
        "rekeyed-pepper-flipped": no_match(
            "A bit of the pepper is flipped.", replace(moved, pepper=flip(moved.pepper, 31)), OTHER_KEY
        ),
        "rekeyed-pepper-of-zeros": no_match("A pepper of zeros.", replace(moved, pepper=bytes(32)), OTHER_KEY),
        "rekeyed-pepper-missing": corrupt(
            "The header names another key than the prefix, and the pepper is missing.", record.plain(), OTHER_KEY
        ),
        "rekeyed-k-sixteen-more": corrupt(
            "k says 16 entries more, and takes the pepper for the end of the wrapped secret.",
            with_k(moved, parameters().k + 16),
            OTHER_KEY,
        ),
    }
    for size in (1, 16, 31, 33, 64):
        pepper = (moved.pepper * 2)[:size]
        found[f"rekeyed-pepper-of-{size}-bytes"] = corrupt(
            f"A pepper of {size} bytes.", replace(moved, pepper=pepper).plain(), OTHER_KEY
        )
    return found


def two_faults() -> dict[str, Case]:
    """Two things wrong with one file: which is told."""
    record, _ = enrolled()
    other = replace(record, parameters=hashlib.sha256(b"another set").digest())
    file, foreign = sealed(record.plain(), "two faults"), sealed(record.plain(), "two faults", OTHER_KEY)
    other_name = sealed(replace(other, record_id=OTHER_ID).plain(), "other name")
    other_k = sealed(replace(other, c=[*other.c, 65535]).plain(), "other k")
    return {
        "short-and-another-version": Case(
            "51 bytes, of another format.", "corrupt", (file[:3] + b"\x02" + file[4:])[:51]
        ),
        "short-and-another-device-key": Case("51 bytes, of another device.", "corrupt", foreign[:51]),
        "another-magic-and-version": Case("Not a record, nor format 1.", "corrupt", b"FLS\x02" + file[4:]),
        "another-version-and-device-key": Case(
            "Another format, of another device.", "another version", foreign[:3] + b"\x02" + foreign[4:]
        ),
        "another-device-key-and-altered": Case("Of another device, and cut short.", "another device key", foreign[:-1]),
        "another-name-and-parameter-set": Case("Made for another name and parameter set.", "corrupt", other_name),
        "another-parameter-set-and-k": Case(
            "Of another parameter set, and c does not fit the one in use.", "another parameter set", other_k
        ),
    }
