# SPDX-License-Identifier: Apache-2.0
"""Sealed secrets as the socket has them: descriptors in and out, faults as the socket's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

from asyncvarlink import FileDescriptor

from facelatch.errors import DeviceKeyError, StorageError
from facelatch.ipc import interface as wire
from facelatch.ipc import memfd
from facelatch.ipc.memfd import DescriptorError
from facelatch.vault import secret_box
from facelatch.vault.record import Record
from facelatch.vault.secret_box import MAX_SECRET_BYTES, SecretError
from facelatch.vault.secrets import (
    NoSuchSecretError,
    SecretNameError,
    Secrets,
    SecretSizeError,
    TooManySecretsError,
)


async def put(secrets: Secrets, record: Record, name: str, descriptor: FileDescriptor) -> None:
    """Seal what a peer's descriptor holds to a user's face.

    Raises:
        InvalidArgument, StorageFault: it is not sealed.
    """
    with _told(name):
        # Not in a thread: a peer that hangs up has the descriptor closed, and its number is soon another's.
        secret = memfd.take(descriptor.fileno(), MAX_SECRET_BYTES)
        await asyncio.to_thread(secrets.put, record, name, secret)


async def box(secrets: Secrets, record: Record, name: str) -> bytes:
    """Fetch a sealed secret, before anyone has to look into the camera for it.

    Raises:
        NoSuchSecret, InvalidArgument, StorageFault: there is none that could be opened.
    """
    with _told(name):
        return await asyncio.to_thread(secrets.get, record, name)


def opened(sealed: bytes, unlocked: bytes, user: str, name: str) -> FileDescriptor:
    """Open a sealed secret with S, and put it into a descriptor that is closed once it is sent.

    Raises:
        StorageFault: it was sealed to another key, for another user or under another name.
    """
    with _told(name):
        return FileDescriptor(memfd.offer(secret_box.unseal(sealed, unlocked, user, name)), should_close=True)


async def forget(secrets: Secrets, record: Record, name: str) -> None:
    """Remove a sealed secret.

    Raises:
        NoSuchSecret, InvalidArgument, StorageFault: it is not removed.
    """
    with _told(name):
        await asyncio.to_thread(secrets.forget, record, name)


@contextmanager
def _told(name: str) -> Generator[None]:
    try:
        yield
    except NoSuchSecretError:
        raise wire.NoSuchSecret(name=name) from None
    except (SecretNameError, TooManySecretsError) as error:
        raise wire.InvalidArgument(parameter="name", problem=f"{error.problem}: {error.remedy}") from None
    except (SecretSizeError, DescriptorError) as error:
        raise wire.InvalidArgument(parameter="secret_fd", problem=f"{error.problem}: {error.remedy}") from None
    except (SecretError, StorageError, DeviceKeyError) as error:
        raise wire.StorageFault(what=str(error)) from error
