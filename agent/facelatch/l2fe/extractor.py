# SPDX-License-Identifier: Apache-2.0
"""Gen and Rep of L2FE-Hash (skeleton: arXiv 2510.25687; our variant: docs/crypto.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from facelatch.errors import EmbeddingError
from facelatch.l2fe import keys
from facelatch.l2fe.decoder import Decoder
from facelatch.l2fe.lattice import Integers, Random
from facelatch.l2fe.parameters import ParameterSet
from facelatch.l2fe.population import expected
from facelatch.l2fe.rotation import SEED_BYTES, rotation

Floats = npt.NDArray[np.float64]

# Argon2id runs one attempt may cost, over all users and looks: the second is for the rare near tie.
MAX_CANDIDATES = 2
# An embedding is a mean of unit vectors brought back to length one; float32 leaves this much.
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Sketch:
    """The face's part of the helper data.

    Attributes:
        seed: 32 bytes, of the rotation U.
        c: (k,) int64 on [0, Q), a lattice point plus w, modulo Q.
    """

    seed: bytes
    c: Integers


@dataclass(frozen=True)
class HelperData:
    """What Gen leaves behind. Without the device key it is never seen in the clear.

    Attributes:
        sketch: from which a near enough face finds the point.
        salt: 16 bytes, of Argon2id.
        wrapped: S under the stretched key (nonce, ciphertext, tag), bound to everything else here and to the header.
        verify_key: 32 bytes, Ed25519 public key.
        seal_key: 32 bytes, X25519 public key.
    """

    sketch: Sketch
    salt: bytes
    wrapped: bytes
    verify_key: bytes
    seal_key: bytes

    def bound(self, header: bytes) -> bytes:
        """Return what ``wrapped`` is bound to: the record but for ``wrapped`` itself, as stored."""
        c = self.sketch.c.astype("<u2").tobytes()
        count = len(self.sketch.c).to_bytes(2, "little")
        return b"".join((header, self.sketch.seed, self.salt, self.verify_key, self.seal_key, count, c))


@dataclass(frozen=True)
class Context:
    """What a key is bound to besides the face.

    Attributes:
        pepper: 32 bytes derived from the device key.
        user: the user's name as UTF-8.
        record_id: 16 bytes.
        header: all that the record says besides the helper data, as stored: no part of it can be exchanged.
    """

    pepper: bytes
    user: bytes
    record_id: bytes
    header: bytes


@dataclass(frozen=True)
class Candidate:
    """A guess at who stands there: the entry of ``sketches`` it belongs to, and the point. Secret, short-lived."""

    index: int
    point: Integers


class Extractor:
    """Gen and Rep under one parameter set."""

    def __init__(self, parameters: ParameterSet) -> None:
        self.parameters = parameters
        self._decoder = Decoder(parameters.lattice.basis, parameters.beam, parameters.lattice.copies)

    def generate(
        self, embedding: npt.ArrayLike, context: Context, *, seed: bytes | None = None, random: Random = os.urandom
    ) -> HelperData:
        """Gen: make helper data from which only this face, on this device, finds its key again.

        Args:
            embedding: (d,) unit length.
            context: what the key is bound to.
            seed: of the rotation; a re-enrolment on the same device keeps the old one (two records under two
                rotations can be decoded jointly), the first takes a fresh one.
            random: source of secret bytes; tests pass a fixed one.

        Raises:
            EmbeddingError: the embedding has the wrong shape, is not finite or not of unit length.
        """
        seed = random(SEED_BYTES) if seed is None else seed
        point = self.parameters.lattice.draw(random)
        sketch = self.sketch(embedding, seed, point)
        salt = random(keys.SALT_BYTES)
        secret = random(keys.SECRET_BYTES)
        stretched = self._stretch(point, seed, salt, context)
        helper = HelperData(
            sketch=sketch,
            salt=salt,
            wrapped=b"",
            verify_key=bytes(keys.signing_key(secret).verify_key),
            seal_key=bytes(keys.sealing_key(secret).public_key),
        )
        wrapped = keys.wrap(secret, stretched, random(keys.NONCE_BYTES), helper.bound(context.header))
        return replace(helper, wrapped=wrapped)

    def sketch(self, embedding: npt.ArrayLike, seed: bytes, point: Integers) -> Sketch:
        """Hide a lattice point, (k,) int64 on [0, Q), behind the face: c = point + round(D U y) mod Q."""
        p = self.parameters
        w = np.rint(p.scale * (rotation(seed, p.k) @ self.project(embedding))).astype(np.int64)
        return Sketch(seed, (point + w) % p.lattice.modulus)

    def candidates(
        self,
        embedding: npt.ArrayLike,
        sketches: Sequence[Sketch],
        limit: int = MAX_CANDIDATES,
        users: int | None = None,
        *,
        early: bool = False,
    ) -> list[Candidate]:
        """Rep, first half: the lattice points nearest inside the radius, at most ``limit`` over all users.

        Costs one batched decode and no Argon2id.

        Args:
            embedding: (d,) unit length.
            sketches: one a user.
            limit: candidates at most.
            users: whom the attempt may match, which sets the radius; as many as there are sketches if not given.
            early: more looks are to come, so only what is well inside counts.
        """
        p = self.parameters
        if not sketches:
            return []
        y = self.expect(embedding)
        targets = np.stack([sketch.c - p.scale * (rotation(sketch.seed, p.k) @ y) for sketch in sketches])
        radius = p.radius(len(sketches) if users is None else users, early=early)
        near = self._decoder(targets, radius * p.scale, MAX_CANDIDATES)
        by_distance = sorted(
            ((found.distance, index, found.point) for index, row in enumerate(near) for found in row),
            key=lambda entry: entry[0],
        )
        return [Candidate(index, point % p.lattice.modulus) for _, index, point in by_distance[:limit]]

    def secret(self, point: Integers, helper: HelperData, context: Context) -> bytes | None:
        """Rep, second half: S if the point is the right one, else None. Costs one Argon2id run."""
        stretched = self._stretch(point, helper.sketch.seed, helper.salt, context)
        return keys.unwrap(helper.wrapped, stretched, helper.bound(context.header))

    def rebind(
        self,
        point: Integers,
        helper: HelperData,
        sketch: Sketch,
        old: Context,
        new: Context,
        random: Random = os.urandom,
    ) -> HelperData | None:
        """Return helper data for a moved sketch under a new header, with the same S; None if it is the wrong point.

        Everything but the header is the same in both contexts. Costs one Argon2id run.
        """
        stretched = self._stretch(point, helper.sketch.seed, helper.salt, old)
        secret = keys.unwrap(helper.wrapped, stretched, helper.bound(old.header))
        if secret is None:
            return None
        moved = replace(helper, sketch=sketch)
        wrapped = keys.wrap(secret, stretched, random(keys.NONCE_BYTES), moved.bound(new.header))
        return replace(moved, wrapped=wrapped)

    def project(self, embedding: npt.ArrayLike) -> Floats:
        """Return y = P (x - mu), (k,), of a checked embedding.

        Raises:
            EmbeddingError: wrong shape, not finite, or not of unit length (zero and constant ones are not either).
        """
        x = np.asarray(embedding, dtype=np.float64)
        remedy = "look again; if it persists, reinstall facelatch's models"
        if x.shape != self.parameters.projection.mean.shape:
            raise EmbeddingError("the embedding is not of the parameter set's encoder", remedy)
        if not np.all(np.isfinite(x)) or abs(float(np.linalg.norm(x)) - 1) > _UNIT_TOLERANCE or np.ptp(x) == 0:
            raise EmbeddingError("the embedding has no direction", remedy)
        return self.parameters.projection(x)

    def expect(self, embedding: npt.ArrayLike) -> Floats:
        """Return the enrolment vector, (k,), that an attempt's checked embedding lets one expect.

        Raises:
            EmbeddingError: as ``project``.
        """
        return expected(self.project(embedding), self.parameters.spread)

    def _stretch(self, point: Integers, seed: bytes, salt: bytes, context: Context) -> bytes:
        binding = (self.parameters.digest, context.user, context.record_id, seed)
        secret = point.astype("<u2").tobytes()
        return keys.stretch(secret, pepper=context.pepper, binding=binding, salt=salt, cost=self.parameters.argon2id)
