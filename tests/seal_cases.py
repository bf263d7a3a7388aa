# SPDX-License-Identifier: Apache-2.0
"""The vectors of sealed secrets: files of which one thing is wrong, or nothing, made with the second implementation.

`expect` is the outcome of looking, on a device with `device_key`, for the secret `secret_name` of a user whose record
has `record_id` and `public_key`, where the only file is called `name`, and of opening it with `unlocked` (S).
"""

from dataclasses import dataclass, replace

from tests.reference import frame, key_id, public_keys
from tests.reference_seal import BOX_PLAIN, CONTEXT, FILE, PLAIN, file_name, make_box, make_file, pad, seal_plain
from tests.reference_seal import sealed_box as box_of
from tests.vector_base import DEVICE_KEY, OTHER_ID, OTHER_KEY, RECORD_ID, USER, Stream, flip

UNLOCKED = bytes(range(64, 96))
OTHER_UNLOCKED = bytes(range(96, 128))
PUBLIC_KEY = public_keys(UNLOCKED)[1]
OTHER_PUBLIC_KEY = public_keys(OTHER_UNLOCKED)[1]
NAME = "luks"
SECRET = b"open sesame"


@dataclass(frozen=True)
class Case:
    """One vector: bytes of a file, how it is looked for and opened, and what comes of it."""

    about: str
    expect: str
    file: bytes
    name: str = file_name(DEVICE_KEY, RECORD_ID, NAME.encode())
    device_key: bytes = DEVICE_KEY
    user: str = USER
    record_id: bytes = RECORD_ID
    public_key: bytes = PUBLIC_KEY
    asked_for: str = NAME
    unlocked: bytes = UNLOCKED
    secret: bytes | None = None


def cases() -> dict[str, Case]:
    """Every vector of a sealed secret by name."""
    return {**sound(), **broken_outside(), **misplaced(), **broken_inside(), **broken_box()}


# --- files


def ephemeral(label: str) -> bytes:
    """The ephemeral secret key of a box."""
    return Stream(f"box: {label}")(32)


def nonce(label: str) -> bytes:
    """The nonce of a file."""
    return Stream(f"secret: {label}")(24)


def box(user: str = USER, name: str = NAME, secret: bytes = SECRET, public_key: bytes = PUBLIC_KEY) -> bytes:
    """A sound box."""
    return make_box(public_key, user, name, secret, ephemeral(f"{user} {name} {len(secret)}"))


def around(
    inner: bytes,
    record_id: bytes = RECORD_ID,
    public_key: bytes = PUBLIC_KEY,
    name: str = NAME,
    key: bytes = DEVICE_KEY,
) -> bytes:
    """A sound file around any box."""
    return make_file(key, record_id, public_key, name, inner, nonce(f"{name} {len(inner)}"))


# --- cases


def success(about: str, user: str = USER, name: str = NAME, secret: bytes = SECRET) -> Case:
    """A file that opens."""
    file = around(box(user, name, secret), name=name)
    called = file_name(DEVICE_KEY, RECORD_ID, name.encode())
    return Case(about, "success", file, called, user=user, asked_for=name, secret=secret)


def sound() -> dict[str, Case]:
    """Nothing wrong with the file."""
    elsewhere = Case(
        "The same box in a file for another device key, as after a rekeying.",
        "success",
        around(box(), key=OTHER_KEY),
        file_name(OTHER_KEY, RECORD_ID, NAME.encode()),
        OTHER_KEY,
        secret=SECRET,
    )
    return {
        "valid": success("A secret."),
        "valid-of-one-byte": success("The shortest secret, a zero.", secret=b"\0"),
        "valid-longest": success(
            "User, name and secret as long as they may be: no padding.",
            user="ä" * 127 + "a",
            name="a.b_c-d0" * 8,
            secret=bytes(range(256)) * 16,
        ),
        "valid-of-zeros": success("The longest secret, all zeros.", secret=bytes(4096)),
        "valid-shortest-name": success("A name of one byte.", name="0"),
        "valid-rekeyed": elsewhere,
    }


def broken_outside() -> dict[str, Case]:
    """What can be done to a file without the device key."""
    file = around(box())
    found: dict[str, Case] = {}
    for size in (0, 3, 11, 12, 36, 51, 52, FILE // 2, FILE - 16, FILE - 1):
        found[f"truncated-to-{size:04d}"] = Case(f"Cut after {size} of {FILE} bytes.", "corrupt", file[:size])
    relabelled = file[:4] + key_id(OTHER_KEY) + file[12:]
    there = file_name(OTHER_KEY, RECORD_ID, NAME.encode())
    found["version"] = Case("Format 2 in the prefix.", "another version", file[:3] + b"\x02" + file[4:])
    found["key-id-of-another-device"] = Case(
        "The prefix names another device's key; all else is as it was.", "another device key", relabelled
    )
    found["another-device-key"] = Case(
        "Opened on another device, under the name that it has there.", "another device key", file, there, OTHER_KEY
    )
    found["another-device-key-old-name"] = Case(
        "Looked for on another device, under the name from before.", "no such secret", file, device_key=OTHER_KEY
    )
    found["relabelled-for-another-device"] = Case(
        "Prefix and name are made to fit the device that opens it.", "corrupt", relabelled, there, OTHER_KEY
    )
    fields = {
        "magic": (0, "corrupt"),
        "version": (3, "another version"),
        "key-id": (4, "another device key"),
        "nonce": (12, "corrupt"),
        "ciphertext": (36, "corrupt"),
        "padding": (FILE - 17, "corrupt"),
        "tag": (FILE - 1, "corrupt"),
    }
    for field, (at, expect) in fields.items():
        found[f"flipped-{field}"] = Case(f"A bit of the {field.replace('-', ' ')} is flipped.", expect, flip(file, at))
    return found


def misplaced() -> dict[str, Case]:
    """Whole files in the wrong place, and right files that are looked for by someone else."""
    file, wifi = around(box()), around(box(name="wifi"), name="wifi")
    called = Case("", "", file).name
    right = Case("", "no such secret", file)
    other = around(box(), record_id=OTHER_ID)
    reenrolled = "Sealed to a key that the user had before enrolling again."
    return {
        "name-of-another": Case("Two files have exchanged names.", "another secret", wifi),
        "record-of-another": Case("A file of another record under this one's name.", "another secret", other),
        "looked-for-by-another-name": replace(right, about="Another name is asked for.", asked_for="wifi"),
        "looked-for-by-another-record": replace(right, about="Another user asks for it.", record_id=OTHER_ID),
        "another-public-key-in-the-record": replace(right, about=reenrolled, public_key=OTHER_PUBLIC_KEY),
        "another-public-key-in-the-file": replace(
            right, about="The file names another key than the record.", file=around(box(), public_key=OTHER_PUBLIC_KEY)
        ),
        "another-face": Case("S of another user.", "corrupt", file, called, unlocked=OTHER_UNLOCKED),
        "another-user": Case("Record and key are right, the user's name is not.", "another secret", file, user="emil"),
    }


def broken_inside() -> dict[str, Case]:
    """What a holder of the device key can write around a sound box."""
    inner = box()
    sound = frame(RECORD_ID, PUBLIC_KEY, NAME.encode(), inner)
    padded = pad(PLAIN, sound)
    long = (len(padded) - len(sound) + len(inner) + 1).to_bytes(4, "little")
    at_length = len(sound) - len(inner) - 4
    plains = {
        "padding-first-byte": ("The first byte of the padding is not zero.", flip(padded, len(sound))),
        "padding-last-byte": ("The last byte of the padding is not zero.", flip(padded, PLAIN - 1)),
        "fifth-part": ("A fifth part in the padding.", pad(PLAIN, sound + frame(b"more"))),
        "box-beyond-the-end": ("The box runs over the end.", padded[:at_length] + long + padded[at_length + 4 :]),
        "three-parts": ("The box is missing.", pad(PLAIN, frame(RECORD_ID, PUBLIC_KEY, NAME.encode()))),
        "no-parts": ("Zeros.", bytes(PLAIN)),
        "size": ("A byte less of padding than there has to be.", padded[:-1]),
        "unpadded": ("No padding.", sound),
    }
    expect = {"no-parts": "another secret"}
    found = {}
    for name, (about, plain) in plains.items():
        file = seal_plain(plain, DEVICE_KEY, nonce(name))
        found[f"inside-{name}"] = Case(about, expect.get(name, "corrupt"), file)
    return found


def broken_box() -> dict[str, Case]:
    """What whoever has the public key and the device key can write."""
    sound = frame(CONTEXT, USER.encode(), NAME.encode(), SECRET)
    padded, inner = pad(BOX_PLAIN, sound), box()
    long = BOX_PLAIN.to_bytes(4, "little")
    at_length = len(sound) - len(SECRET) - 4
    plains = {
        "user": ("Another user inside the box.", pad(BOX_PLAIN, frame(CONTEXT, b"emil", NAME.encode(), SECRET))),
        "name": ("Another name inside the box.", pad(BOX_PLAIN, frame(CONTEXT, USER.encode(), b"wifi", SECRET))),
        "boundary": ("User and name part elsewhere.", pad(BOX_PLAIN, frame(CONTEXT, b"annal", b"uks", SECRET))),
        "context": (
            "Another format inside the box.",
            pad(BOX_PLAIN, frame(b"facelatch-seal-v2", USER.encode(), NAME.encode(), SECRET)),
        ),
        "padding-first-byte": ("The box's padding begins with another byte than zero.", flip(padded, len(sound))),
        "padding-last-byte": ("The box's padding ends with another byte than zero.", flip(padded, BOX_PLAIN - 1)),
        "secret-beyond-the-end": ("The secret runs over the end.", padded[:at_length] + long + padded[at_length + 4 :]),
    }
    other = ("user", "name", "boundary", "context")
    found = {}
    for name, (about, plain) in plains.items():
        file = around(box_of(PUBLIC_KEY, plain, ephemeral(name)))
        found[f"box-{name}"] = Case(about, "another secret" if name in other else "corrupt", file)
    for field, at in {"ephemeral-key": 0, "tag": 32, "ciphertext": 48, "end": len(inner) - 1}.items():
        about = f"A bit of the box is flipped ({field.replace('-', ' ')})."
        found[f"box-flipped-{field}"] = Case(about, "corrupt", around(flip(inner, at)))
    other_box = around(box(public_key=OTHER_PUBLIC_KEY))
    found["box-for-another-key"] = Case("The box is sealed to another key than the file says.", "corrupt", other_box)
    found["box-empty"] = Case("The box has no bytes.", "corrupt", around(b""))
    return found
