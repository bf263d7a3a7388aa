# SPDX-License-Identifier: Apache-2.0
"""Secrets in sealed memfds: memory passed as a descriptor, which nobody can change any more (memfd_create(2)).

The kernel's word that a descriptor is such memory, and is sealed, is all that is trusted of one that a peer sent: it
can then neither block a read, as a pipe, a device or a file system in user space can, nor change under it.
"""

from __future__ import annotations

import errno
import fcntl
import os

from facelatch.errors import FacelatchError

# From linux/memfd.h; Python 3.11 does not name it. Kernels before 6.3 do not know it.
_MFD_NOEXEC_SEAL = 0x0008
_NAME = "facelatch-secret"
_FIXED = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_REMEDY = "pass a memfd sealed against writing, shrinking and growing"


class DescriptorError(FacelatchError):
    """A descriptor is not what a secret may come in."""


def offer(secret: bytes) -> int:
    """Return a descriptor that holds a secret, at its start and fixed for ever; the caller closes it.

    Its memory is freed when the last one who has it closes it. Like any memory it may reach swap.

    Raises:
        OSError: no descriptor or no memory is left.
    """
    descriptor = _create()
    try:
        rest = memoryview(secret)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _FIXED | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def take(descriptor: int, limit: int) -> bytes:
    """Read a secret from a descriptor that anybody may have sent; never blocks. The caller still closes it.

    Args:
        descriptor: a sealed memfd; where it stands does not matter, and is not changed.
        limit: most bytes it may hold.

    Raises:
        DescriptorError: it is something else, or holds too much.
    """
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)  # fails on what cannot be sealed
        if seals & _FIXED != _FIXED:
            raise DescriptorError("the secret's memfd is not sealed", _REMEDY)
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise DescriptorError(f"the secret has {size} bytes", f"send at most {limit} bytes")
        secret = os.pread(descriptor, size, 0)
    except OSError as error:
        raise DescriptorError("the secret's descriptor is not a memfd that can be read", _REMEDY) from error
    if len(secret) != size:
        raise DescriptorError("the secret's memfd could not be read to its end", "try again")
    return secret


def _create() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(_NAME, flags | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(_NAME, flags)
