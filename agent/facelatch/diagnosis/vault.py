# SPDX-License-Identifier: Apache-2.0
"""State directory, device key and records, read as they lie there, also while the agent runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from facelatch import parameters
from facelatch.config import Config
from facelatch.diagnosis.finding import Finding, State, failed
from facelatch.errors import DeviceKeyError, FacelatchError, RecordCorruptError, StorageError
from facelatch.l2fe.parameters import ParameterSet
from facelatch.vault.device_key import DeviceKey
from facelatch.vault.files import MissingFileError, read_bounded, require_private, storage_error
from facelatch.vault.key_credential import DIRECTORY_VARIABLE, TPM2_KINDS, CredentialKey, Tpm2Key, sealed_with
from facelatch.vault.key_providers import FILE_KEYS
from facelatch.vault.key_ring import FileKeyRing, KeyRing
from facelatch.vault.record import require_parameters, sealed_under, unseal
from facelatch.vault.store import MAX_RECORD_BYTES, MAX_RECORDS, RECORD_NAME


def check_vault(chosen: Config) -> Iterator[Finding]:
    """Look at the state directory, the device key and the records, as the agent's user."""
    yield check_state(chosen.state)
    finding, ring = check_device_key(chosen.device_key.provider, chosen.device_key.path)
    yield finding
    try:
        yield from check_records(chosen.state, ring, parameters.read(chosen.parameters))
    except FacelatchError as error:
        yield failed("records", error)


def check_state(state: Path) -> Finding:
    """See that the state directory is there, and closed to others."""
    try:
        status = state.stat()
        require_private(state, status)
    except FileNotFoundError:
        return Finding("state", State.MISSING, f"{state} does not exist yet", "start the agent, which makes it")
    except OSError as error:
        return failed("state", storage_error("use", state, error))
    except StorageError as error:
        return failed("state", error)
    if not state.is_dir():
        return Finding("state", State.FAILED, f"{state} is not a directory", "remove it, or correct the path")
    return Finding("state", State.OK, f"{state} is open to uid {status.st_uid} only")


def check_device_key(provider: str, path: Path) -> tuple[Finding, KeyRing | None]:
    """Load the device key; also return it, where it could be had."""
    try:
        if provider in FILE_KEYS:
            try:
                path.lstat()
            except FileNotFoundError:
                detail = f"{path} does not exist"
                remedy = "start the agent, which makes it if nobody is enrolled; otherwise restore it from a backup"
                return Finding("device key", State.MISSING, detail, remedy), None
            ring: KeyRing = FileKeyRing(path, FILE_KEYS[provider])
        elif DIRECTORY_VARIABLE not in os.environ:
            return _check_credential(provider, path), None
        else:
            kind = Tpm2Key if provider == Tpm2Key.provider else CredentialKey
            ring = KeyRing(kind.load(path))
    except DeviceKeyError as error:
        return failed("device key", error), None
    except OSError as error:
        return failed("device key", storage_error("read", path, error)), None
    return _describe_key(ring.current, renewing=ring.next is not None), ring


def _describe_key(key: DeviceKey, *, renewing: bool) -> Finding:
    detail = f"{key.provider}, id {key.key_id.hex()}"
    if renewing:
        detail += ", a renewal is under way"
    if not key.weak:
        return Finding("device key", State.OK, detail)
    return Finding(
        "device key",
        State.WEAK,
        f"{detail}, lies on the same card as the records",
        "use a provider that keeps it off the card, if the device has one",
    )


def _check_credential(provider: str, path: Path) -> Finding:
    """Judge a credential by its encrypted file, since systemd passes the key to the agent's unit alone."""
    sealed = sealed_with(path) in TPM2_KINDS
    detail = f"{provider}, passed by systemd to the agent alone"
    if provider == Tpm2Key.provider and not sealed:
        remedy = f"seal it by `systemd-creds encrypt --with-key=tpm2 --name={path.name}`"
        return Finding("device key", State.FAILED, f"{path} is not sealed to a TPM2", remedy)
    if provider == Tpm2Key.provider:
        return Finding("device key", State.OK, detail)
    return Finding("device key", State.WEAK, detail, "seal it to a TPM2 and use provider 'tpm2', if there is one")


def check_records(state: Path, ring: KeyRing | None, chosen: ParameterSet) -> Iterator[Finding]:
    """Open every record, and name each that cannot be opened by its id, never by its user.

    Args:
        state: directory of the records.
        ring: the device keys, or None where they could not be had: then the records are only counted.
        chosen: the parameter set in use.
    """
    try:
        files = sorted(path for path in state.iterdir() if path.suffix == ".rec") if state.exists() else []
    except OSError as error:
        yield failed("records", storage_error("read", state, error))
        return
    if ring is None:
        if not files:
            yield Finding("records", State.OK, "none yet")
            return
        detail = f"{len(files)}, which cannot be opened here without the device key"
        yield Finding("records", State.WEAK, detail, "see to the device key; a running agent has opened them")
        return
    users: set[str] = set()
    faults = []
    for path in files:
        try:
            users.add(_open_record(path, ring, chosen, users))
        except MissingFileError:
            continue  # removed by the agent since we listed them
        except FacelatchError as error:
            faults.append(Finding("records", State.FAILED, error.problem, error.remedy))
    yield from faults[:MAX_RECORDS]
    if not faults or users:
        yield Finding("records", State.OK, f"{len(users)} can be opened")


def _open_record(path: Path, ring: KeyRing, chosen: ParameterSet, users: set[str]) -> str:
    if not RECORD_NAME.fullmatch(path.stem):
        raise StorageError(f"{path} is not named like a record", "remove it, or restore its name")
    data = read_bounded(path, MAX_RECORD_BYTES)
    key = ring.find(sealed_under(data) or b"") or ring.newest
    record = unseal(data, key, path.stem)
    require_parameters(record, chosen.digest, chosen.lattice.modulus, chosen.k)
    if record.header.user in users:
        raise RecordCorruptError(f"record {path.stem} is a second one of the same user", "remove the older file")
    return record.header.user
