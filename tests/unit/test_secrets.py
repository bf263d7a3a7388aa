# SPDX-License-Identifier: Apache-2.0
"""The store of sealed secrets: limits, silence of the disk, and who forgets what when."""

from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from facelatch.errors import StorageError
from facelatch.l2fe.extractor import HelperData, Sketch
from facelatch.l2fe.keys import sealing_key
from facelatch.vault import secret_box
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import Account, Header, Record
from facelatch.vault.secret_box import SecretCorruptError, SecretMisplacedError
from facelatch.vault.secret_file import FILE_BYTES, SecretKeyError
from facelatch.vault.secrets import (
    NoSuchSecretError,
    SecretNameError,
    Secrets,
    SecretSizeError,
    TooManySecretsError,
)

KEY = HostFileKey(bytes(range(32)))
NEW_KEY = HostFileKey(bytes(range(1, 33)))


def record_of(user: str, s: bytes, number: int) -> Record:
    """Make a record as far as secrets care for one."""
    public = sealing_key(s).public_key.encode()
    helper = HelperData(Sketch(b"", np.zeros(1, dtype=np.int64)), b"", b"", b"", public)
    return Record(Header(b"p" * 32, KEY.key_id, bytes([number]) * 16, 0, user), Account(False, 0), helper)


S = b"S" * 32
S_AGAIN = b"R" * 32
S_BERT = b"B" * 32
ANNA = record_of("anna", S, 1)
ANNA_AGAIN = record_of("anna", S_AGAIN, 1)  # enrolled with mode replace: the same record id, another key
BERT = record_of("bert", S_BERT, 2)


def opened(store: Secrets, record: Record, s: bytes, name: str) -> bytes:
    return secret_box.unseal(store.get(record, name), s, record.header.user, name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


@pytest.fixture
def store(directory: Path) -> Secrets:
    return Secrets(directory, KEY)


def test_a_new_store_is_empty_and_private(store: Secrets, directory: Path) -> None:
    assert store.names(ANNA) == []
    assert store.sweep([]) == (0, [])
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_put_replace_get_forget(store: Secrets, directory: Path) -> None:
    store.put(ANNA, "keyring", b"old")
    store.put(ANNA, "disk", b"another")
    store.put(BERT, "keyring", b"bert's")
    store.put(ANNA, "keyring", b"new")
    store = Secrets(directory, KEY)
    assert store.names(ANNA) == ["disk", "keyring"]
    assert opened(store, ANNA, S, "keyring") == b"new"
    assert opened(store, BERT, S_BERT, "keyring") == b"bert's"
    store.forget(ANNA, "keyring")
    assert store.names(ANNA) == ["disk"]
    assert store.names(BERT) == ["keyring"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in directory.iterdir())


def test_what_is_not_there(store: Secrets) -> None:
    store.put(BERT, "keyring", b"bert's")
    with pytest.raises(NoSuchSecretError, match="no secret 'keyring'"):
        store.get(ANNA, "keyring")
    with pytest.raises(NoSuchSecretError, match="no secret 'keyring'"):
        store.forget(ANNA, "keyring")
    assert store.forget_all(ANNA) == []


@pytest.mark.parametrize("bad", ["", "n" * 65, "Disk", "a b", "a/b", "a\n", "ä", "a\0"])
def test_names_that_are_none(store: Secrets, bad: str) -> None:
    with pytest.raises(SecretNameError, match="is not a name for a secret: use 1 to 64 of a-z"):
        store.put(ANNA, bad, b"s")
    with pytest.raises(SecretNameError):
        store.get(ANNA, bad)
    with pytest.raises(SecretNameError):
        store.forget(ANNA, bad)


@pytest.mark.parametrize("name", ["a", "n" * 64, ".", "..", "a.b_c-9"])
def test_names_that_are_some(store: Secrets, name: str) -> None:
    store.put(ANNA, name, b"s")
    assert store.names(ANNA) == [name]
    assert opened(store, ANNA, S, name) == b"s"


def test_size_limit(store: Secrets) -> None:
    store.put(ANNA, "a", bytes(4096))
    assert opened(store, ANNA, S, "a") == bytes(4096)
    for secret in (b"", bytes(4097)):
        with pytest.raises(SecretSizeError, match=f"has {len(secret)} bytes: seal 1 to 4096"):
            store.put(ANNA, "a", secret)
    assert opened(store, ANNA, S, "a") == bytes(4096)


def test_number_limit_is_a_users_own(store: Secrets) -> None:
    for number in range(16):
        store.put(ANNA, f"{number}", b"old")
    with pytest.raises(TooManySecretsError, match="16 secrets are sealed already: forget one"):
        store.put(ANNA, "16", b"s")
    store.put(ANNA, "3", b"new")
    store.put(BERT, "16", b"s")
    store.forget(ANNA, "7")
    store.put(ANNA, "16", b"s")
    assert len(store.names(ANNA)) == 16
    assert opened(store, ANNA, S, "3") == b"new"


def test_many_at_once_do_not_pass_the_limit(store: Secrets) -> None:
    def put(number: int) -> bool:
        try:
            store.put(ANNA, f"{number}", b"s")
        except TooManySecretsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(put, range(24))) == 16
    assert len(store.names(ANNA)) == 16


def test_the_disk_tells_neither_user_nor_name_nor_size(store: Secrets, directory: Path) -> None:
    store.put(ANNA, "disk", b"correct horse")
    store.put(ANNA, "gnome-keyring", bytes(4000))
    store.put(BERT, "disk", b"s")
    files = sorted(directory.iterdir())
    assert len(files) == 3
    assert {path.stat().st_size for path in files} == {FILE_BYTES}
    for path in files:
        assert len(path.stem) == 32
        for text in (b"anna", b"bert", b"disk", b"keyring", b"correct horse"):
            assert text not in path.read_bytes()
            assert text not in path.name.encode()
    # Without the device key a name cannot be guessed from the file's either.
    other = Secrets(directory.with_name("other"), NEW_KEY)
    other.put(ANNA, "disk", b"correct horse")
    assert not {path.name for path in files} & {path.name for path in directory.with_name("other").iterdir()}


def test_re_enrolment_makes_old_secrets_unseen_and_forgettable(store: Secrets) -> None:
    store.put(ANNA, "disk", b"old")
    store.put(ANNA, "keyring", b"old")
    store.put(BERT, "disk", b"bert's")
    # The new record is stored. Until the old secrets are forgotten, nobody is shown them.
    assert store.names(ANNA_AGAIN) == []
    with pytest.raises(NoSuchSecretError):
        store.get(ANNA_AGAIN, "disk")
    store.put(ANNA_AGAIN, "disk", b"new")
    assert store.forget_all(ANNA) == ["keyring"]  # "disk" has been replaced
    assert opened(store, ANNA_AGAIN, S_AGAIN, "disk") == b"new"
    assert opened(store, BERT, S_BERT, "disk") == b"bert's"


def test_old_secrets_do_not_count_after_re_enrolment(store: Secrets) -> None:
    for number in range(16):
        store.put(ANNA, f"{number}", b"old")
    store.put(ANNA_AGAIN, "new", b"new")
    assert store.names(ANNA_AGAIN) == ["new"]


def test_a_removed_user_is_forgotten_and_no_other(store: Secrets, directory: Path) -> None:
    store.put(ANNA, "disk", b"s")
    store.put(ANNA, "keyring", b"s")
    store.put(BERT, "disk", b"bert's")
    assert store.forget_all(ANNA) == ["disk", "keyring"]
    assert len(list(directory.iterdir())) == 1
    assert opened(store, BERT, S_BERT, "disk") == b"bert's"


def test_sweep_takes_what_no_living_key_opens(store: Secrets, directory: Path) -> None:
    store.put(ANNA, "disk", b"s")
    store.put(ANNA, "keyring", b"s")
    store.put(BERT, "disk", b"bert's")
    assert store.sweep([ANNA, BERT]) == (0, [])
    assert store.sweep([ANNA_AGAIN, BERT]) == (2, [])
    assert store.names(BERT) == ["disk"]
    assert store.sweep([]) == (1, [])
    assert list(directory.iterdir()) == []


def test_sweep_reports_what_it_cannot_judge_and_leaves_it(store: Secrets, directory: Path) -> None:
    for record, name in [(ANNA, "damaged"), (ANNA, "fine"), (ANNA, "moved"), (BERT, "moved-over")]:
        store.put(record, name, b"s")
    path = {name: store._path(KEY, record.header.record_id, name) for record, name in [
        (ANNA, "damaged"), (ANNA, "moved"), (BERT, "moved-over")
    ]}  # fmt: skip
    path["damaged"].write_bytes(path["damaged"].read_bytes()[:-1])
    path["moved"].replace(path["moved-over"])
    other = Secrets(directory.with_name("other"), NEW_KEY)
    other.put(ANNA, "foreign", b"s")
    for foreign in directory.with_name("other").iterdir():
        shutil.copy(foreign, directory)
    (directory / f"{'0' * 32}.sec").symlink_to("/etc/hostname")
    (directory / "readme").write_text("not ours")
    before = sorted(directory.iterdir())
    removed, faults = store.sweep([ANNA, BERT])
    assert removed == 0
    assert sorted(type(fault).__name__ for fault in faults) == sorted(
        kind.__name__ for kind in (SecretCorruptError, SecretMisplacedError, SecretKeyError, StorageError)
    )
    assert sorted(directory.iterdir()) == before
    # One bad file hides no other, and each is told apart when it is asked for.
    assert store.names(ANNA) == ["fine"]
    with pytest.raises(SecretCorruptError, match="is truncated"):
        store.get(ANNA, "damaged")
    with pytest.raises(SecretMisplacedError, match="holds another secret"):
        store.get(BERT, "moved-over")
    # A damaged secret can be sealed again, and can be forgotten.
    store.put(ANNA, "damaged", b"again")
    assert opened(store, ANNA, S, "damaged") == b"again"
    store.forget(BERT, "moved-over")


def test_a_secret_exchanged_for_an_older_one_of_another_user_is_refused_inside_too(store: Secrets) -> None:
    # Someone with the device key can give a box another place; the user inside it is still the one it was made for.
    store.put(ANNA, "disk", b"s")
    with pytest.raises(SecretMisplacedError, match="is another one"):
        secret_box.unseal(store.get(ANNA, "disk"), S, "bert", "disk")


def test_a_new_device_key(store: Secrets, directory: Path) -> None:
    store.put(ANNA, "disk", b"s")
    store.put(BERT, "disk", b"bert's")
    old_names = {path.name for path in directory.iterdir()}
    assert store.reseal(NEW_KEY) == 2
    assert not old_names & {path.name for path in directory.iterdir()}
    for each in (store, Secrets(directory, NEW_KEY)):
        assert opened(each, ANNA, S, "disk") == b"s"
        assert opened(each, BERT, S_BERT, "disk") == b"bert's"
        assert each.sweep([ANNA, BERT]) == (0, [])
    assert Secrets(directory, KEY).names(ANNA) == []


def test_the_same_device_key_again_is_refused_and_loses_nothing(store: Secrets) -> None:
    store.put(ANNA, "disk", b"s")
    with pytest.raises(ValueError, match="same key"):
        store.reseal(HostFileKey(bytes(range(32))))
    assert opened(store, ANNA, S, "disk") == b"s"


def test_reseal_leaves_what_is_damaged(store: Secrets) -> None:
    store.put(ANNA, "disk", b"s")
    store.put(ANNA, "damaged", b"s")
    damaged = store._path(KEY, ANNA.header.record_id, "damaged")
    damaged.write_bytes(b"FLS")
    assert store.reseal(NEW_KEY) == 1
    assert damaged.read_bytes() == b"FLS"
    assert store.names(ANNA) == ["disk"]


@pytest.mark.parametrize("mode", [0o750, 0o701])
def test_a_directory_open_to_others_is_refused(directory: Path, mode: int) -> None:
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(StorageError, match="open to others"):
        Secrets(directory, KEY)


def test_places_that_are_no_directory(directory: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        Secrets(directory / "inner", KEY)
    directory.touch()
    with pytest.raises(StorageError, match="is not a directory"):
        Secrets(directory, KEY)


def test_a_directory_of_someone_else_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StorageError, match="belongs to uid"):
        Secrets(directory, KEY)


def test_leftovers_are_swept_at_the_start(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    leftover = directory / f".{'a' * 32}.sec.0123456789abcdef.tmp"
    leftover.write_bytes(b"half")
    Secrets(directory, KEY)
    assert not leftover.exists()


def test_a_directory_that_goes_away_is_a_storage_fault(store: Secrets, directory: Path) -> None:
    directory.rmdir()
    with pytest.raises(StorageError):
        store.names(ANNA)
    with pytest.raises(StorageError):
        store.put(ANNA, "disk", b"s")
