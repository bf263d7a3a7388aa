# SPDX-License-Identifier: Apache-2.0
"""What a card keeps of records that were overwritten: a real file system, the real store, and a search for its magic.

The image is ext4 in a file, mounted through a loop device where that is allowed (root). Elsewhere a log of all that
the store wrote stands in, of which nothing is ever overwritten: as flash does at its most retentive.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from facelatch.daemon.roster import Roster
from facelatch.errors import RecordError
from facelatch.face.encoder import unit
from facelatch.l2fe import refresh
from facelatch.l2fe.extractor import Extractor
from facelatch.l2fe.parameters import ParameterSet
from facelatch.vault import record
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.filesystem import OsFileSystem
from facelatch.vault.key_ring import KeyRing
from facelatch.vault.store import Store
from tools.decoding.tables import Table, watched
from tools.redteam.part import Control, Job, Outcome
from tools.redteam.search import Floats

_IMAGE_BYTES = 16 << 20
_QUICK_REFRESHES = 4
_USER = "anna"
_COMMANDS = ("mkfs.ext4", "mount", "umount")


@dataclass
class Card:
    """A medium: where files are written, what writes them, and all of its bytes once nobody does.

    Attributes:
        folder: where the store may make its directory.
        fs: what it is to write through.
        kind: for people.
    """

    folder: Path
    fs: OsFileSystem
    kind: str
    image: bytes = b""


class _Log(OsFileSystem):
    """Keeps all that was ever written."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def write(self, descriptor: int, data: bytes) -> int:
        written = super().write(descriptor, data)
        self.kept += data[:written]
        return written


@contextmanager
def card() -> Iterator[Card]:
    """Make a card; its image can be read once the block has ended."""
    with TemporaryDirectory(prefix="facelatch-card-") as name:
        root = Path(name)
        folder, image = root / "mounted", root / "image"
        folder.mkdir()
        if _mounted(image, folder):
            made = Card(folder, OsFileSystem(), "ext4")
            try:
                yield made
            finally:
                _run("umount", str(folder))
            made.image = image.read_bytes()
        else:
            log = _Log()
            made = Card(folder, log, "a log of all writes, standing in for a card (no loop device here)")
            yield made
            made.image = bytes(log.kept)


def _mounted(image: Path, folder: Path) -> bool:
    if not all(map(shutil.which, _COMMANDS)):
        return False
    with image.open("wb") as file:
        file.truncate(_IMAGE_BYTES)
    return _run("mkfs.ext4", "-q", str(image)) and _run("mount", "-o", "loop", str(image), str(folder))


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - the system's own tools


def carve(job: Job, refreshes: int, people: Floats) -> Outcome:
    """Refresh a made-up person's record through the real store, then look for every version in the image.

    Args:
        job: what is attacked.
        refreshes: how many; after eight the agent wants a new enrolment, which is made.
        people: (m, k) enrolment vectors, whose first is taken for a person's.
    """
    count = _QUICK_REFRESHES if job.quick else refreshes
    p = job.parameters
    key, other = HostFileKey(bytes(range(32))), HostFileKey(bytes(range(1, 33)))
    with card() as medium:
        written, file = _live(p, key, medium, count, people[0], np.random.default_rng([job.seed, 9]))
    found = carved(medium.image, key, file.size, file.name)
    blind = carved(medium.image, other, file.size, file.name)
    versions = {one.header.generation for one in found}
    seeds = {one.helper.sketch.seed for one in found}
    table = Table(
        f"Carved from {medium.kind} after {count} refreshes",
        ["versions written", "found by their magic and opened with the device key", "rotations", "without the key"],
        [[str(written), str(len(versions)), str(len(seeds)), str(len(blind))]],
    )
    figures = {"medium": medium.kind, "written": written, "carved": len(versions), "rotations": len(seeds)}
    control = Control("a leaked device key: versions overwritten long ago open", len(versions) > 1)
    said = [
        f"Of {written} versions of a record, {len(versions)} could be read from the card after it was said to hold one."
    ]
    return Outcome(figures, [table], [control], said)


@dataclass(frozen=True)
class _File:
    """A record's file, after it is gone."""

    name: str
    size: int


def _live(
    p: ParameterSet, key: HostFileKey, medium: Card, count: int, y: Floats, rng: np.random.Generator
) -> tuple[int, _File]:
    """Enrol, and refresh a day apart; return how many versions were written, and of which file."""
    extractor = Extractor(p)
    with Store(medium.folder / "records", fs=medium.fs) as store:
        roster = Roster(store, KeyRing(key), extractor)
        current = roster.make(_USER, face(p, y), administrator=False)
        roster.put(current)
        written = 1
        for _ in watched(range(count), "refreshes on a card"):
            look = face(p, y + 0.5 * rng.normal(size=p.k))
            near = extractor.candidates(look, [current.helper.sketch])
            later = max(current.account.enrolled_usec, current.account.refreshed_usec) + refresh.INTERVAL_USEC
            moved = roster.refreshed(current, near[0].point, look, later) if near else None
            current = moved or roster.make(_USER, look, administrator=False, before=current)
            roster.put(current)
            written += 1
        size = len(record.seal(current, key))
    return written, _File(current.header.record_id.hex(), size)


def carved(image: bytes, key: HostFileKey, size: int, name: str) -> list[record.Record]:
    """Find every record of that size and name in an image, and open it."""
    magic = record.MAGIC + bytes([record.VERSION])
    found = []
    start = image.find(magic)
    while start >= 0:
        with suppress(RecordError):
            found.append(record.unseal(image[start : start + size], key, name))
        start = image.find(magic, start + 1)
    return found


def face(p: ParameterSet, y: Floats) -> npt.NDArray[np.float32]:
    """Return a unit embedding that projects near y (k,): nobody's."""
    x = p.projection.mean + np.linalg.pinv(p.projection.matrix) @ y
    return unit(x.astype(np.float32))
