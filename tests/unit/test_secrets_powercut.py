# SPDX-License-Identifier: Apache-2.0
"""Secrets and the power: whatever is cut off, each one is the old or the new, and nobody's is kept."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from facelatch.errors import StorageError
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.record import Record
from facelatch.vault.secrets import Secrets
from facelatch.vault.store import Store
from tests.powercut import CARELESS, Disk, NeverSyncsNames, PowerCut, WritesInPlace, first_fault, power_cuts
from tests.unit.test_secrets import ANNA, ANNA_AGAIN, BERT, KEY, NEW_KEY, S_AGAIN, S_BERT, S, opened

Held = dict[tuple[str, str], bytes]
BEFORE: Held = {("anna", "disk"): b"old", ("anna", "keyring"): b"k", ("bert", "disk"): b"bert's"}
OF_BERT: Held = {("bert", "disk"): b"bert's"}
PEOPLE = ((ANNA, S), (BERT, S_BERT))


def prepared(directory: Path) -> Path:
    directory.parent.mkdir(exist_ok=True)
    store = Secrets(directory, KEY)
    for record, _ in PEOPLE:
        for (user, name), secret in BEFORE.items():
            if user == record.header.user:
                store.put(record, name, secret)
    return directory


def held(store: Secrets, people: tuple[tuple[Record, bytes], ...] = PEOPLE) -> Held:
    return {
        (record.header.user, name): opened(store, record, s, name)
        for record, s in people
        for name in store.names(record)
    }


def replace_disk(store: Secrets) -> None:
    store.put(ANNA, "disk", b"new")


def add_mail(store: Secrets) -> None:
    store.put(ANNA, "mail", b"new")


def forget_disk(store: Secrets) -> None:
    store.forget(ANNA, "disk")


KEYRING = {key: secret for key, secret in BEFORE.items() if key != ("anna", "disk")}


@pytest.mark.parametrize("careless", [None, *CARELESS])
@pytest.mark.parametrize(
    ("operate", "after"),
    [
        (replace_disk, {**BEFORE, ("anna", "disk"): b"new"}),
        (add_mail, {**BEFORE, ("anna", "mail"): b"new"}),
        (forget_disk, KEYRING),
    ],
    ids=["replace", "add", "forget"],
)
def test_old_or_new(
    tmp_path: Path, operate: Callable[[Secrets], None], after: Held, careless: type[Disk] | None
) -> None:
    directory = prepared(tmp_path / "disk" / "secrets")
    disk = (careless or Disk)(tmp_path / "disk")
    operate(Secrets(directory, KEY, fs=disk))
    disk.tell("done")

    def wrong(cut: PowerCut, root: Path) -> str | None:
        again = Secrets(root / "secrets", KEY, fs=Disk(root))
        if again.sweep([ANNA, BERT]) != (0, []) or list(root.glob("secrets/.*")):
            return "something is left"
        return None if held(again) in ((after,) if cut.told else (BEFORE, after)) else f"{held(again)} are there"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    assert bool(fault) == (careless is not None and (operate is not forget_disk or careless is NeverSyncsNames)), fault


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "re-enrolled"])
def test_the_record_goes_first_and_nothing_of_it_stays(tmp_path: Path, replaced: bool) -> None:
    name, root = ANNA.header.record_id.hex(), tmp_path / "disk"
    root.mkdir()
    with Store(root / "records") as store:
        store.put(name, b"old record")
    prepared(root / "records" / "secrets")
    disk = Disk(root)
    with Store(root / "records", fs=disk) as store:
        if replaced:
            store.put(name, b"new record")
        else:
            store.remove(name)
        Secrets(root / "records" / "secrets", KEY, fs=disk).forget_all(ANNA)
    met = set()

    def wrong(_: PowerCut, root: Path) -> str | None:
        with Store(root / "records", fs=Disk(root)) as store:
            left = store.read_all().records
        again = Secrets(root / "records" / "secrets", KEY, fs=Disk(root))
        if left == {name: b"old record"}:  # she is still enrolled as she was: then nothing of hers is gone
            met.add("old")
            return None if held(again) == BEFORE else "an enrolled user has lost secrets"
        met.add("new")
        # Before the sweep, too, nobody is shown what was sealed to the old keys.
        if held(again, ((ANNA_AGAIN, S_AGAIN), (BERT, S_BERT))) != OF_BERT:
            return "something of hers is shown"
        again.sweep([ANNA_AGAIN, BERT] if replaced else [BERT])
        alone = len(list((root / "records" / "secrets").iterdir())) == 1
        return None if held(again) == OF_BERT and alone else "something of hers stays"

    assert first_fault(power_cuts(disk), tmp_path / "left", wrong) is None
    assert met == {"old", "new"}


def test_a_cut_sweep_is_swept_on(tmp_path: Path) -> None:
    directory = prepared(tmp_path / "disk" / "secrets")
    disk = Disk(tmp_path / "disk")
    assert Secrets(directory, KEY, fs=disk).sweep([BERT]).removed == 2
    met = set()

    def wrong(_: PowerCut, root: Path) -> str | None:
        met.add(len(list((root / "secrets").iterdir())))
        again = Secrets(root / "secrets", KEY, fs=Disk(root))
        again.sweep([BERT])
        return None if held(again) == OF_BERT and len(list((root / "secrets").iterdir())) == 1 else "something is left"

    assert first_fault(power_cuts(disk), tmp_path / "left", wrong) is None
    assert met == {3, 2, 1}


def readable(directory: Path, keys: tuple[DeviceKey, ...]) -> Held:
    found: Held = {}
    for key in keys:
        found |= held(Secrets(directory, key, fs=Disk(directory.parent)))
    return found


@pytest.mark.parametrize("careless", [None, *CARELESS])
def test_a_new_device_key_at_any_moment(tmp_path: Path, careless: type[Disk] | None) -> None:
    directory = prepared(tmp_path / "disk" / "secrets")
    disk = (careless or Disk)(tmp_path / "disk")
    Secrets(directory, KEY, fs=disk).reseal(NEW_KEY)
    disk.tell("under the new key")

    def wrong(cut: PowerCut, root: Path) -> str | None:
        directory = root / "secrets"
        if readable(directory, (NEW_KEY,) if cut.told else (KEY, NEW_KEY)) != BEFORE:
            return "something is lost"
        Secrets(directory, KEY, fs=Disk(root)).reseal(NEW_KEY)
        whole = readable(directory, (NEW_KEY,)) == BEFORE and len(list(directory.iterdir())) == len(BEFORE)
        return None if whole else "it does not go on"

    fault = first_fault(power_cuts(disk), tmp_path / "left", wrong)
    # Nothing has the new names before, so it does no harm to write there at once.
    assert bool(fault) == (careless not in (None, WritesInPlace)), fault


def test_a_full_disk_during_a_new_device_key_takes_nothing_away(tmp_path: Path) -> None:
    counted = Disk(tmp_path)
    store = Secrets(prepared(tmp_path / "counted"), KEY, fs=counted)
    opening = counted.count
    store.reseal(NEW_KEY)
    removals = 2 * len(BEFORE)  # each is a remove and a sync, and they come last
    for fail_at in range(opening, counted.count - removals):
        directory = prepared(tmp_path / f"{fail_at}")
        store = Secrets(directory, KEY, fs=Disk(tmp_path, number=errno.ENOSPC, fail_at=fail_at))
        with pytest.raises(StorageError, match="no space left"):
            store.reseal(NEW_KEY)
        assert held(store) == BEFORE
        store.put(ANNA, "disk", b"newer")  # life goes on under the old key, and what it changes is what is moved next
        assert store.reseal(NEW_KEY) == len(BEFORE)
        assert held(store) == {**BEFORE, ("anna", "disk"): b"newer"}
        assert len(list(directory.iterdir())) == len(BEFORE)


@pytest.mark.parametrize(("number", "message"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only")])
def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, number: int, message: str) -> None:
    directory = prepared(tmp_path / "secrets")
    opening = Disk(tmp_path)
    Secrets(directory, KEY, fs=opening)
    store = Secrets(directory, KEY, fs=Disk(tmp_path, number=number, fail_at=opening.count, and_later=True))
    for operate in (replace_disk, add_mail, forget_disk):
        with pytest.raises(StorageError, match=message):
            operate(store)
    with pytest.raises(StorageError, match=message):
        store.forget_all(ANNA)
    assert held(store) == BEFORE
