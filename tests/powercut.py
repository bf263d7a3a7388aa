# SPDX-License-Identifier: Apache-2.0
"""Disks that fail, and what a power cut may leave of what was being written.

``Disk`` does every operation for real, counts it, and may refuse the n-th. It also writes each one down, and
``power_cuts`` then gives every state that a file system may leave when the power goes after any of them. The model is
that of "All File Systems Are Not Created Equal" (OSDI 2014): what was not synced may be there or not, in any
order, and data may be there in part. So, of everything since the last sync of the file or directory it is in,

- every subset of the changes of names may have reached the medium, whatever their order was (a rename is one change);
- a name may be there without its data, and the data as ``torn`` has it.

What is believed: what a sync that returned has covered; that a rename is not halved, as on ext4, f2fs, btrfs and XFS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from facelatch.vault.filesystem import OsFileSystem

BLOCK = 4096
"""The kernel writes files back in pages of this size, in any order; they are torn at these bounds and at the ends."""

EVERY_BYTE = 64
"""Files up to this size (a device key, the mode) are torn at every byte. Those that are longer have an authentication
tag: to their reader all but the ends looks alike (``test_half_written_files`` cuts them at every byte)."""

MOST_PENDING = 8
"""More unsynced changes of names at once than any writer here leaves: the subsets of all are gone through."""

Tree = dict[str, bytes | None]
"""What is below a directory: relative path -> content, or None for a directory."""


class Killed(BaseException):
    """The writer is no more. Not an ``Exception``, so that no handler carries on; the disk does."""


class Disk(OsFileSystem):
    """Does the operations below a directory, refuses some, and remembers all.

    Args:
        root: only what is below it is remembered.
        fail_at: number of the operation to refuse, from 0; none if not given.
        number: the ``errno`` to refuse it with; without one, whoever asks is killed.
        and_later: refuse all later ones, too, until ``mend``.
    """

    def __init__(self, root: Path, *, fail_at: int | None = None, number: int = 0, and_later: bool = False) -> None:
        self.root = root
        self.start = read_tree(root)
        self.steps: list[tuple[str, ...] | Write] = []
        self.told: list[tuple[int, object]] = []
        self.count = 0
        self._number = number
        self._fail_at = fail_at
        self._and_later = and_later
        self._open: dict[int, str] = {}

    def tell(self, what: object) -> None:
        """Note what was told to somebody, who relies on it from here on."""
        self.told.append((len(self.steps), what))

    def refuse_from_now_on(self, number: int) -> None:
        """Refuse every operation until ``mend``."""
        self._fail_at, self._number, self._and_later = self.count, number, True

    def mend(self) -> None:
        """Refuse nothing any more."""
        self._fail_at = None

    def _step(self) -> None:
        number, self.count = self.count, self.count + 1
        if self._fail_at is not None and (number == self._fail_at or (self._and_later and number > self._fail_at)):
            raise OSError(self._number, os.strerror(self._number)) if self._number else Killed

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def create(self, path: Path, mode: int) -> int:
        self._step()
        descriptor = super().create(path, mode)
        self._open[descriptor] = self._name(path)
        self.steps.append(("create", self._name(path)))
        return descriptor

    def make_directory(self, path: Path) -> None:
        self._step()
        super().make_directory(path)
        self.steps.append(("directory", self._name(path)))

    def write(self, descriptor: int, data: bytes) -> int:
        self._step()
        written = super().write(descriptor, data[: max(1, len(data) // 2)])  # a write may always be a short one
        self.steps.append(Write(self._open[descriptor], data[:written]))
        return written

    def give(self, descriptor: int, owner: tuple[int, int]) -> None:
        self._step()
        super().give(descriptor, owner)

    def sync(self, descriptor: int) -> None:
        self._step()  # and no more: nobody cuts the power of this machine
        self.steps.append(("sync", self._open[descriptor]))

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._open.pop(descriptor, None)

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        super().rename(source, target)
        self.steps.append(("rename", self._name(source), self._name(target)))

    def link(self, source: Path, target: Path) -> None:
        self._step()
        super().link(source, target)
        self.steps.append(("link", self._name(source), self._name(target)))

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)
        self.steps.append(("remove", self._name(path)))

    def sync_directory(self, directory: Path) -> None:
        self._step()
        if not directory.is_dir():
            raise FileNotFoundError(directory)
        self.steps.append(("sync directory", self._name(directory)))


@dataclass(frozen=True)
class Write:
    """Bytes appended to a file."""

    name: str
    data: bytes


@dataclass(frozen=True)
class PowerCut:
    """One state that the medium may be in.

    Attributes:
        after: how many operations were done when the power went.
        told: what had been told to somebody by then.
        tree: what is there.
    """

    after: int
    told: tuple[object, ...]
    tree: Tree = field(repr=False)


def power_cuts(disk: Disk) -> Iterator[PowerCut]:
    """Give every state that a power cut may leave at any moment of what a disk has done so far, each once."""
    medium = _Medium(disk.start)
    seen: set[tuple[int, frozenset[tuple[str, bytes | None]]]] = set()
    for after in range(len(disk.steps) + 1):
        if after:
            medium.take(disk.steps[after - 1])
        # What was told right after this operation may or may not have been told when the power went.
        for reach in sorted({before for before, _ in disk.told if before == after} | {after - 1}):
            told = tuple(what for before, what in disk.told if before <= reach)
            for tree in medium.states():
                key = (len(told), frozenset(tree.items()))
                if key not in seen:
                    seen.add(key)
                    yield PowerCut(after, told, tree)


class _Medium:
    """What is surely on the medium, and what may be."""

    def __init__(self, start: Tree) -> None:
        self._number = 0
        self._data: dict[int, bytes] = {}  # of files by number: as synced
        self._unsynced: dict[int, bytes] = {}  # and what was appended since
        self._durable: dict[str, int | None] = {}
        for name, content in start.items():
            self._durable[name] = None if content is None else self._new(content)
        self._names = dict(self._durable)
        self._pending: list[tuple[str, dict[str, int | None], set[str]]] = []

    def _new(self, content: bytes = b"") -> int:
        self._number += 1
        self._data[self._number] = content
        return self._number

    def take(self, step: tuple[str, ...] | Write) -> None:
        """Do one more operation."""
        match step:
            case Write(name, data):
                number = self._file(name)
                self._unsynced[number] = self._unsynced.get(number, b"") + data
            case ("sync", name):
                number = self._file(name)
                self._data[number] += self._unsynced.pop(number, b"")
            case ("create", name):
                self._change(name, {name: self._new()})
            case ("directory", name):
                self._change(name, {name: None})
            case ("rename", source, target):
                self._change(target, {target: self._names[source]}, {source})
            case ("link", source, target):
                self._change(target, {target: self._names[source]})
            case ("remove", name):
                self._change(name, {}, {name})
            case ("sync directory", directory):
                for change in [change for change in self._pending if change[0] == directory]:
                    _apply(self._durable, change)
                    self._pending.remove(change)
            case _:
                raise AssertionError(step)

    def _file(self, name: str) -> int:
        number = self._names[name]
        assert number is not None, name
        return number

    def _change(self, name: str, there: dict[str, int | None], gone: set[str] | None = None) -> None:
        change = (str(Path(name).parent), there, gone or set())
        self._pending.append(change)
        assert len(self._pending) <= MOST_PENDING, "too many states to go through"
        _apply(self._names, change)

    def states(self) -> Iterator[Tree]:
        """Give everything that may be on the medium now."""
        for chosen in product((False, True), repeat=len(self._pending)):
            names = dict(self._durable)
            for change, there in zip(self._pending, chosen, strict=True):
                if there:
                    _apply(names, change)
            visible = {name: number for name, number in names.items() if _has_place(name, names)}
            torn_files = sorted({number for number in visible.values() if number and number in self._unsynced})
            # Several at once are left by careless writers only: there each is whole, empty or zeros.
            how = torn if len(torn_files) == 1 else _whole_or_not
            choices = [how(self._data[number], self._unsynced[number]) for number in torn_files]
            for contents in product(*choices):
                data = {**self._data, **dict(zip(torn_files, contents, strict=True))}
                yield {name: None if number is None else data[number] for name, number in visible.items()}


def _apply(names: dict[str, int | None], change: tuple[str, dict[str, int | None], set[str]]) -> None:
    _, there, gone = change
    for name in gone:
        names.pop(name, None)
    names.update(there)


def _has_place(name: str, names: dict[str, int | None]) -> bool:
    return all(str(folder) in names for folder in list(Path(name).parents)[:-1])


def _whole_or_not(synced: bytes, unsynced: bytes) -> list[bytes]:
    return [synced, synced + bytes(len(unsynced)), synced + unsynced]


def torn(synced: bytes, unsynced: bytes) -> list[bytes]:
    """Give what may be there of a file's unsynced bytes: the first of them; those and zeros, or zeros and the last."""
    size, blocks = len(unsynced), range(0, len(unsynced), BLOCK)
    found = [unsynced[:cut] for cut in (range(size + 1) if size <= EVERY_BYTE else {1, size - 1, size, *blocks})]
    for cut in blocks:
        found += [unsynced[:cut] + bytes(size - cut), bytes(cut) + unsynced[cut:]]
    return [synced + tail for tail in dict.fromkeys(found)]


@contextmanager
def in_memory() -> Iterator[Path]:
    """Make a directory in memory, where there is such: states are laid out by the thousand, and none has to last."""
    shared = Path("/dev/shm")  # noqa: S108 - the directory itself is made afresh and closed to others
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as directory:
        yield Path(directory)


def read_tree(root: Path) -> Tree:
    """Read all that is below a directory, but for locks: nothing is kept in those."""
    found = (path for path in sorted(root.rglob("*")) if path.name != ".lock")
    return {str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in found}


def lay_out(tree: Tree, root: Path) -> Path:
    """Make a directory what a tree says, whatever it was before; return it."""
    root.mkdir(parents=True, exist_ok=True)
    for path in sorted(root.rglob("*"), reverse=True):
        if not path.is_dir():
            path.unlink()
        elif str(path.relative_to(root)) not in tree:
            path.rmdir()
    for name, content in sorted(tree.items()):
        path = root / name
        if content is None:
            path.mkdir(mode=0o700, exist_ok=True)
        else:
            path.write_bytes(content)
            path.chmod(0o600)
    return root


class NeverSyncs(Disk):
    """A control: a writer that does not wait for its data."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the kernel."""


class NeverSyncsNames(Disk):
    """A control: a writer that does not wait for its names."""

    def sync_directory(self, directory: Path) -> None:
        """Leave it to the kernel."""


class WritesInPlace(Disk):
    """A control: a writer that overwrites the file itself instead of putting a new one in its place."""

    def create(self, path: Path, mode: int) -> int:
        target = _in_place(path)
        target.unlink(missing_ok=True)
        return super().create(target, mode)

    def rename(self, source: Path, target: Path) -> None:
        if source == _in_place(source):
            super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        """It has its name already."""

    def remove(self, path: Path) -> None:
        if path == _in_place(path):
            super().remove(path)


def _in_place(temporary: Path) -> Path:
    """Return the name that a temporary file is to take."""
    name = temporary.name
    return temporary.with_name(name[1:].rsplit(".", 2)[0]) if name.endswith(".tmp") else temporary


CARELESS: tuple[type[Disk], ...] = (NeverSyncs, NeverSyncsNames, WritesInPlace)


def first_fault(cuts: Iterable[PowerCut], root: Path, check: Callable[[PowerCut, Path], str | None]) -> str | None:
    """Lay out each state, and return what a check finds wrong with the first that is; None if nothing ever is.

    Args:
        cuts: the states.
        root: made anew for each.
        check: given a state and the directory with it, says what is wrong.
    """
    for cut in cuts:
        fault = check(cut, lay_out(cut.tree, root))
        if fault is not None:
            return f"after {cut.after} operations, told {cut.told}: {fault}"
    return None
