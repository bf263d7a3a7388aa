# SPDX-License-Identifier: Apache-2.0
"""The enrolled users: opened records in memory, sealed ones on disk, always in step."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy.typing as npt

from facelatch.errors import FacelatchError, RecordCorruptError, StorageError
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.lattice import Integers
from facelatch.l2fe.refresh import History
from facelatch.l2fe.rotation import rotation
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.files import MissingFileError
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.record import (
    RECORD_ID_BYTES,
    Account,
    Header,
    Record,
    bind,
    rekeyed,
    require_parameters,
    seal,
    sealed_under,
    unseal,
)
from facelatch.vault.store import Store


class OvertakenError(FacelatchError):
    """A record was made to follow one that is no longer there."""


class Roster:
    """Everyone who is enrolled.

    Safe to use from several threads.

    Args:
        store: where sealed records are kept.
        ring: the device keys that records may be sealed under.
        extractor: of the parameter set in use.

    Raises:
        RecordError: a stored record cannot be used; it is named. Nothing is started on half a store.
        StorageError: the store cannot be read.
    """

    def __init__(self, store: Store, ring: KeyRing, extractor: Extractor) -> None:
        self._store = store
        self._key = ring.newest
        self._extractor = extractor
        self._records: dict[str, Record] = {}
        # Held while disk and memory change together: methods run on threads.
        self._lock = threading.Lock()
        contents = store.read_all()
        if contents.faults:
            raise contents.faults[0]
        for name, data in contents.records.items():
            self._admit(self._open(name, data, ring), name)

    def _open(self, name: str, data: bytes, ring: KeyRing) -> Record:
        key = ring.find(sealed_under(data) or b"") or ring.newest
        record = unseal(data, key, name)
        return record if key.key_id == self._key.key_id else rekeyed(record, key)

    def _admit(self, record: Record, name: str) -> None:
        parameters = self._extractor.parameters
        require_parameters(record, parameters.digest, parameters.lattice.modulus, parameters.k)
        if record.header.user in self._records:
            raise RecordCorruptError(f"record {name} is a second one of the same user", "remove the older file")
        self._records[record.header.user] = record

    def __len__(self) -> int:
        """How many are enrolled."""
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        """Give every record, by user name."""
        # All at once: another thread may remove one between its name and its record.
        return iter(sorted(self._records.values(), key=lambda record: record.header.user))

    def get(self, user: str) -> Record | None:
        """Give a user's record, or None."""
        return self._records.get(user)

    def expand(self) -> None:
        """Expand every record's rotation, some milliseconds each, that the first attempt would else wait for."""
        # From the last: an attempt that comes meanwhile goes from the first, so they share the work.
        for record in reversed(list(self)):
            # Of whom is removed meanwhile nothing is kept.
            with self._lock:
                if record.header.user in self._records:
                    rotation(record.helper.sketch.seed, self._extractor.parameters.k)

    def make(self, user: str, embedding: npt.ArrayLike, *, administrator: bool, before: Record | None = None) -> Record:
        """Run Gen for a user; nothing is stored yet. Costs one Argon2id run.

        Someone enrolled already, whose record is given as ``before``, keeps record id and rotation, and the generation
        goes up: so the new record takes the old one's place on disk in one step, and the pair gives an attacker no
        second rotation to work with.

        Raises:
            EmbeddingError: the embedding cannot be used.
        """
        header = Header(
            parameter_set=self._extractor.parameters.digest,
            key_id=self._key.key_id,
            record_id=before.header.record_id if before else secrets.token_bytes(RECORD_ID_BYTES),
            generation=before.header.generation + 1 if before else 0,
            user=user,
        )
        account = Account(administrator, enrolled_usec=time.time_ns() // 1000)
        seed = before.helper.sketch.seed if before else None
        context = bind(header, account, self._key.derive("pepper"))
        return Record(header, account, self._extractor.generate(embedding, context, seed=seed))

    def put(self, record: Record) -> None:
        """Store a record durably, in place of the one it was made to follow, and only then know it.

        Raises:
            OvertakenError: since it was made, the user was removed, or enrolled anew.
            StorageError: it is not stored, and what was there before still is; or, if only the last step failed and the
                disk does not let it be undone, it is stored and known, but a power cut may undo that.
        """
        with self._lock:
            before = self._records.get(record.header.user)
            follows = None if before is None else (before.header.record_id, before.header.generation + 1)
            expected = (record.header.record_id, record.header.generation) if record.header.generation else None
            if follows != expected:
                raise OvertakenError(
                    "the user was enrolled or removed in the meantime", "look at the list and try again"
                )
            self._put(record)

    def move(self, key: DeviceKey) -> None:
        """Seal every record under a new device key, durably, one by one; needs no face.

        Raises:
            StorageError: not all could be; those that were stay so, and this may be called again.
        """
        with self._lock:
            if key.key_id != self._key.key_id:
                # All of them first: one that is not stored yet must not be taken for one made under the new key.
                self._records = {user: rekeyed(record, self._key) for user, record in self._records.items()}
                self._key = key
            for record in self:
                self._put(record)

    def _put(self, record: Record) -> None:
        name, sealed = record.header.record_id.hex(), seal(record, self._key)
        try:
            self._store.put(name, sealed)
        except StorageError:
            # What a restart would find is what is known: else the old keys would be given out, and new secrets lost.
            if self._store.holds(name, sealed):
                self._records[record.header.user] = record
            raise
        self._records[record.header.user] = record

    def refreshed(
        self, record: Record, point: Integers, embedding: npt.ArrayLike, now_usec: int, *, sitting: bool = False
    ) -> Record | None:
        """Move a record's sketch towards the look that unlocked it; None where that is not due or not called for.

        A sitting counts as much as each before it, and may be on the same day; whether the peer may ask for that, and
        whether the look was live, is for the caller to know. Nothing is stored yet.

        Raises:
            EmbeddingError: the embedding cannot be used.
        """
        old = record.account
        sketch = None
        if sitting and old.refreshes < refresh.MAX_STEPS:
            sketch = refresh.joined(self._extractor, record.helper.sketch, point, embedding, old.refreshes + 1)
        elif not sitting and refresh.due(History(old.enrolled_usec, old.refreshed_usec, old.refreshes), now_usec):
            sketch = refresh.recentre(self._extractor, record.helper.sketch, point, embedding)
        if sketch is None:
            return None
        header = replace(record.header, generation=record.header.generation + 1)
        account = replace(old, refreshes=old.refreshes + 1, refreshed_usec=now_usec)
        context = record.context(self._key)
        helper = self._extractor.rebind(point, record.helper, sketch, context, bind(header, account, context.pepper))
        return None if helper is None else replace(record, header=header, account=account, helper=helper)

    def remove(self, user: str) -> Record:
        """Forget a user durably; return the record that was theirs.

        Raises:
            KeyError: nobody of that name is enrolled.
            StorageError: the record could not be removed, or not durably; the user stays, and this may be called again.
        """
        with self._lock:
            # Missing is what an earlier call has removed that failed at its last step.
            with suppress(MissingFileError):
                self._store.remove(self._records[user].header.record_id.hex())
            # Nothing is kept of who is gone; the next attempt expands the others' rotations anew.
            rotation.cache_clear()
            return self._records.pop(user)

    def secret(self, point: Integers, record: Record) -> bytes | None:
        """Try a candidate point against a record; one Argon2id run."""
        return self._extractor.secret(point, record.helper, record.context(self._key))
