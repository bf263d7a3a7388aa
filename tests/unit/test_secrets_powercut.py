# SPDX-License-Identifier: Apache-2.0
"""Secrets and the power: whatever is cut off, each one is the old or the new, and nobody's is kept."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from facelatch.errors import StorageError
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.record import Record
from facelatch.vault.secrets import Secrets
from facelatch.vault.store import Store
from tests.powercut import FailingFs, PowerCut, PowerCutFs, SteppedFs
from tests.unit.test_secrets import ANNA, ANNA_AGAIN, BERT, KEY, NEW_KEY, S_AGAIN, S_BERT, S, opened

Held = dict[tuple[str, str], bytes]
BEFORE: Held = {("anna", "disk"): b"old", ("anna", "keyring"): b"k", ("bert", "disk"): b"bert's"}
OF_BERT: Held = {("bert", "disk"): b"bert's"}
PEOPLE = ((ANNA, S), (BERT, S_BERT))


def prepared(directory: Path) -> Path:
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


def cut(fs: PowerCutFs, work: Callable[[], object], *, keep_names: bool) -> bool:
    """Do it until the power goes; return whether it was done before."""
    try:
        work()
        done = True
    except PowerCut:
        done = False
    fs.fall(keep_names=keep_names)
    return done


def replace_disk(store: Secrets) -> None:
    store.put(ANNA, "disk", b"new")


def add_mail(store: Secrets) -> None:
    store.put(ANNA, "mail", b"new")


def forget_disk(store: Secrets) -> None:
    store.forget(ANNA, "disk")


KEYRING = {key: secret for key, secret in BEFORE.items() if key != ("anna", "disk")}


@pytest.mark.parametrize("keep_names", [True, False])
@pytest.mark.parametrize(
    ("operate", "after"),
    [
        (replace_disk, {**BEFORE, ("anna", "disk"): b"new"}),
        (add_mail, {**BEFORE, ("anna", "mail"): b"new"}),
        (forget_disk, KEYRING),
    ],
    ids=["replace", "add", "forget"],
)
def test_old_or_new(tmp_path: Path, operate: Callable[[Secrets], None], after: Held, keep_names: bool) -> None:
    for cut_at in count():
        directory = prepared(tmp_path / f"{cut_at}")
        fs = PowerCutFs(directory, cut_at)
        store = Secrets(directory, KEY, fs=fs)
        done = cut(fs, partial(operate, store), keep_names=keep_names)
        again = Secrets(directory, KEY)
        assert again.sweep([ANNA, BERT]) == (0, [])
        assert held(again) in (BEFORE, after)
        assert not list(directory.glob(".*"))
        if done:
            break
    assert held(again) == after
    assert cut_at >= 2


@pytest.mark.parametrize("keep_names", [True, False])
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "re-enrolled"])
def test_the_record_goes_first_and_nothing_of_it_stays(tmp_path: Path, replaced: bool, keep_names: bool) -> None:
    name = ANNA.header.record_id.hex()
    for cut_at in count():
        records, directory = tmp_path / f"{cut_at}-records", prepared(tmp_path / f"{cut_at}")
        with Store(records) as store:
            store.put(name, b"old record")
        record_fs = PowerCutFs(records, cut_at)
        with Store(records, fs=record_fs) as store:
            end = partial(store.put, name, b"new record") if replaced else partial(store.remove, name)
            done = cut(record_fs, end, keep_names=keep_names)
        if done:
            fs = PowerCutFs(directory, cut_at - record_fs.steps)
            secrets = Secrets(directory, KEY, fs=fs)
            done = cut(fs, partial(secrets.forget_all, ANNA), keep_names=keep_names)
        with Store(records) as store:
            left = store.read_all().records
        if left == {name: b"old record"}:  # she is still enrolled as she was: then nothing of hers is gone
            assert held(Secrets(directory, KEY)) == BEFORE
            continue
        living = [ANNA_AGAIN, BERT] if replaced else [BERT]
        again = Secrets(directory, KEY)
        assert held(again, ((ANNA_AGAIN, S_AGAIN), (BERT, S_BERT))) == OF_BERT  # before the sweep too
        again.sweep(living)
        assert len(list(directory.iterdir())) == 1
        assert held(again) == OF_BERT
        if done:
            break
    assert cut_at >= 5


@pytest.mark.parametrize("keep_names", [True, False])
def test_a_cut_sweep_is_swept_on(tmp_path: Path, keep_names: bool) -> None:
    for cut_at in count():
        directory = prepared(tmp_path / f"{cut_at}")
        fs = PowerCutFs(directory, cut_at)
        store = Secrets(directory, KEY, fs=fs)
        done = cut(fs, partial(store.sweep, [BERT]), keep_names=keep_names)
        again = Secrets(directory, KEY)
        again.sweep([BERT])
        assert held(again) == OF_BERT
        assert len(list(directory.iterdir())) == 1
        if done:
            break
    assert cut_at == 4  # two files


def readable(directory: Path, keys: tuple[DeviceKey, ...]) -> Held:
    found: Held = {}
    for key in keys:
        found |= held(Secrets(directory, key))
    return found


@pytest.mark.parametrize("keep_names", [True, False])
def test_a_new_device_key_at_any_moment(tmp_path: Path, keep_names: bool) -> None:
    for cut_at in count():
        directory = prepared(tmp_path / f"{cut_at}")
        fs = PowerCutFs(directory, cut_at)
        store = Secrets(directory, KEY, fs=fs)
        done = cut(fs, partial(store.reseal, NEW_KEY), keep_names=keep_names)
        assert readable(directory, (KEY, NEW_KEY)) == BEFORE
        Secrets(directory, KEY).reseal(NEW_KEY)
        assert held(Secrets(directory, NEW_KEY)) == BEFORE
        assert len(list(directory.iterdir())) == len(BEFORE)
        if done:
            break
    assert cut_at >= 3 * 6


def test_a_full_disk_during_a_new_device_key_takes_nothing_away(tmp_path: Path) -> None:
    counted = SteppedFs()
    Secrets(prepared(tmp_path / "counted"), KEY, fs=counted).reseal(NEW_KEY)
    removals = 2 * len(BEFORE)  # each is a remove and a sync, and they come last
    for fail_at in range(counted.steps - removals):
        directory = prepared(tmp_path / f"{fail_at}")
        store = Secrets(directory, KEY, fs=FailingFs(errno.ENOSPC, fail_at=fail_at))
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
    store = Secrets(directory, KEY, fs=FailingFs(number, fail_at=0, and_later=True))
    for operate in (replace_disk, add_mail, forget_disk):
        with pytest.raises(StorageError, match=message):
            operate(store)
    with pytest.raises(StorageError, match=message):
        store.forget_all(ANNA)
    assert held(store) == BEFORE
