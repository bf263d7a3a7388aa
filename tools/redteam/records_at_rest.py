# SPDX-License-Identifier: Apache-2.0
"""Attacks on keys and files: guesses without Argon2id, records exchanged or put back, a hostile parameter set."""

from __future__ import annotations

import functools
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import numpy.typing as npt

from facelatch import parameters
from facelatch.daemon.roster import Roster
from facelatch.errors import ParameterSetError, RecordCorruptError, RecordKeyError
from facelatch.l2fe import keys
from facelatch.l2fe.extractor import Extractor, HelperData
from facelatch.l2fe.framing import frame
from facelatch.l2fe.keys import Argon2idCost
from facelatch.l2fe.parameters import ParameterSet, load, pack, parse
from facelatch.l2fe.population import Projection
from facelatch.vault import record
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.lockout import BootClock, Lockout
from facelatch.vault.record import Record
from facelatch.vault.store import Store
from tools.redteam.madeup import Sphere
from tools.redteam.part import Control, Job

KEY, OTHER_KEY = HostFileKey(bytes(range(32))), HostFileKey(bytes(range(1, 33)))
# libsodium's least: for attacks that do not turn on what a guess costs.
CHEAP = Argon2idCost(passes=1, memory_kib=8)
# Guesses tried against a record that skips Argon2id, and against one that does not.
_GUESSES = 1 << 12
_STRETCHED = 4
# Takes all faces to nearly one point, with a condition as good as before.
_SHRUNK = 1e-3


def cheap(p: ParameterSet) -> ParameterSet:
    """Return the set with guesses that cost next to nothing."""
    return replace(p, argon2id=CHEAP)


def unlocks(extractor: Extractor, one: Record, look: npt.NDArray[np.float32], key: HostFileKey = KEY) -> bool:
    """Tell whether a look (d,) opens a record, by the agent's own Rep."""
    found = extractor.candidates(look, [one.helper.sketch])
    return any(extractor.secret(each.point, one.helper, one.context(key)) is not None for each in found)


def unstretched(job: Job) -> tuple[dict[str, float], Control]:
    """Guess at a key that is wrapped as ours is, and at one wrapped without Argon2id."""
    p = job.parameters
    secret, nonce, bound, pepper, salt = bytes(range(32)), bytes(24), b"bound", KEY.derive("pepper"), bytes(16)
    rng = np.random.default_rng(job.seed)
    points = [p.lattice.draw(rng.bytes).astype("<u2").tobytes() for _ in range(_GUESSES)]

    def direct(point: bytes) -> bytes:
        return hashlib.blake2b(frame(b"guess", point), key=pepper, digest_size=32).digest()

    wrapped = keys.wrap(secret, direct(points[-1]), nonce, bound)
    start = time.perf_counter()
    opened = [keys.unwrap(wrapped, direct(point), bound) is not None for point in points]
    without = _GUESSES / (time.perf_counter() - start)
    start = time.perf_counter()
    for point in points[:_STRETCHED]:
        keys.unwrap(wrapped, keys.stretch(point, pepper=pepper, binding=(b"",), salt=salt, cost=p.argon2id), bound)
    ours = _STRETCHED / (time.perf_counter() - start)
    figures = {"guesses_a_second": ours, "guesses_a_second_unstretched": without, "factor": without / ours}
    name = f"S wrapped without Argon2id: {_GUESSES} guesses find it, {without / ours:.0f} times as many a second"
    return figures, Control(name, opened == [False] * (_GUESSES - 1) + [True])


def swapped(job: Job) -> tuple[dict[str, bool], Control]:
    """Exchange records between users and between devices, with and without their key."""
    p = cheap(job.parameters)
    extractor, sphere = Extractor(p), Sphere(p)
    rng = np.random.default_rng([job.seed, 11])
    anna, bob = (sphere.at(p.spread * rng.normal(size=p.k)) for _ in range(2))
    with roster(extractor) as (people, _):
        first, second = (people.make(name, x, administrator=False) for name, x in (("anna", anna), ("bob", bob)))
    renamed = replace(first, header=replace(first.header, user="bob", record_id=second.header.record_id))
    promoted = replace(first, account=replace(first.account, administrator=True))
    moved = replace(first, header=replace(first.header, key_id=OTHER_KEY.key_id))
    figures = {
        "file_under_another_name": _opens_file(record.seal(first, KEY), KEY, second.header.record_id.hex()),
        "file_on_another_device": _opens_file(record.seal(first, KEY), OTHER_KEY, first.header.record_id.hex()),
        "resealed_for_another_user": unlocks(extractor, renamed, anna),
        "resealed_as_administrator": unlocks(extractor, promoted, anna),
        "resealed_for_another_device": unlocks(extractor, moved, anna, OTHER_KEY),
    }
    # The same promotion where S is wrapped under the same key, but bound to nothing else.
    (found,) = extractor.candidates(anna, [first.helper.sketch], limit=1)
    context = first.context(KEY)
    secret = extractor.secret(found.point, first.helper, context)
    binding = (p.digest, context.user, context.record_id, first.helper.sketch.seed)
    point = found.point.astype("<u2").tobytes()
    stretched = keys.stretch(point, pepper=context.pepper, binding=binding, salt=first.helper.salt, cost=p.argon2id)
    wrapped = keys.wrap(secret or b"", stretched, bytes(24), b"")
    h = first.helper
    loose = replace(promoted, helper=_Loose(h.sketch, h.salt, wrapped, h.verify_key, h.seal_key))
    name = "S bound to nothing: whoever has the device key makes an administrator of a user, who still unlocks"
    return figures, Control(name, unlocks(extractor, loose, anna))


class _Loose(HelperData):
    """Helper data that is bound to nothing."""

    def bound(self, header: bytes) -> bytes:
        del header
        return b""


def _opens_file(data: bytes, key: HostFileKey, name: str) -> bool:
    try:
        record.unseal(data, key, name)
    except (RecordCorruptError, RecordKeyError):
        return False
    return True


def restored(job: Job) -> dict[str, bool]:
    """Put an old generation of one record back, and a whole card after a user was removed."""
    p = cheap(job.parameters)
    extractor, sphere = Extractor(p), Sphere(p)
    rng = np.random.default_rng([job.seed, 12])
    before, after = (sphere.at(p.spread * rng.normal(size=p.k)) for _ in range(2))
    with roster(extractor) as (people, folder):
        old = people.make("anna", before, administrator=False)
        people.put(old)
        lockout = Lockout(folder / "lockout", KeyRing(KEY), BootClock())
        with TemporaryDirectory(prefix="facelatch-card-") as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            people.put(people.make("anna", after, administrator=False, before=old))
            people.remove("anna")
            for _ in range(6):
                lockout.charge("device")
            locked = lockout.wait("device") is not None
            people_back, counts_back = _reopened(extractor, Path(copy))
    return {
        "old_generation_opens": people_back is not None and unlocks(extractor, people_back, before),
        "removed_user_is_back": people_back is not None,
        "lockout_is_forgotten": locked and counts_back is None,
    }


def _reopened(extractor: Extractor, folder: Path) -> tuple[Record | None, object]:
    with Store(folder / "records") as store:
        people = Roster(store, KeyRing(KEY), extractor)
        return people.get("anna"), Lockout(folder / "lockout", KeyRing(KEY), BootClock()).wait("device")


def hostile_parameters(job: Job) -> tuple[dict[str, bool], Control]:
    """Offer parameter sets under which everyone looks alike."""
    name = job.parameters.name
    file = (parameters.DIRECTORY / f"{name}.json").read_bytes()
    shipped, p = msgspec.json.decode(file), parse(file)
    zero = shipped | {"projection": pack(np.zeros_like(p.projection.matrix), "<f4")}
    small = shipped | {"projection": pack(_SHRUNK * p.projection.matrix, "<f4")}
    sphere = Sphere(p)
    rng = np.random.default_rng([job.seed, 13])
    owner, stranger = (sphere.at(p.spread * rng.normal(size=p.k)) for _ in range(2))
    figures: dict[str, bool] = {}
    for kind, wire in (("zero", zero), ("shrunk", small)):
        data = msgspec.json.encode(wire)
        figures[f"{kind}_passes_the_pin"] = _accepted(functools.partial(load, name, data))
        figures[f"{kind}_passes_the_checks"] = _accepted(functools.partial(parse, data))
    flat = replace(cheap(p), projection=Projection(p.projection.mean, _SHRUNK * p.projection.matrix))
    with roster(Extractor(flat)) as (people, _):
        one = people.make("anna", owner, administrator=False)
        own = people.make("eve", stranger, administrator=False)
    honest = Extractor(cheap(p))
    with roster(honest) as (people, _):
        true = people.make("anna", owner, administrator=False)
    lets_in = unlocks(Extractor(flat), one, stranger) and unlocks(Extractor(flat), own, owner)
    holds = unlocks(honest, true, stranger)
    name = "a parameter set that shrinks all faces together, taken without its pin: a stranger opens the record"
    return figures, Control(name, lets_in and not holds)


def _accepted(reads: Callable[[], ParameterSet]) -> bool:
    with suppress(ParameterSetError):
        reads()
        return True
    return False


@contextmanager
def roster(extractor: Extractor) -> Iterator[tuple[Roster, Path]]:
    """Give an empty roster on a store of its own, and the folder around it."""
    with TemporaryDirectory(prefix="facelatch-red-") as name:
        folder = Path(name)
        with Store(folder / "records") as store:
            yield Roster(store, KeyRing(KEY), extractor), folder
