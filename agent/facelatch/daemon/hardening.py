# SPDX-License-Identifier: Apache-2.0
"""What the process does to keep its memory to itself, before any secret is in it.

What has been freed is overwritten by settings of the C library, which the unit makes (see there): they must be in the
environment before the process starts.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from contextlib import suppress
from pathlib import Path

import numpy as np

# From linux/prctl.h, linux/capability.h and asm-generic/mman.h; Python's standard library does not name them.
_PR_SET_DUMPABLE = 4
_CAP_IPC_LOCK = 14
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
# NumPy keeps up to seven buffers of each size below this for the next array, instead of freeing them.
_CACHED_BELOW, _CACHED = 1024, 7
# The product of two such matrices fills more of OpenBLAS's buffer than any of ours, which are of vectors.
_SIDE = 256


def keep_memory_private() -> None:
    """Forbid core dumps and being read by other processes of the same user.

    A dump of the process is a dump of embeddings and keys.

    Raises:
        OSError: the kernel refuses; the agent must not run then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def lock_memory() -> bool:
    """Keep all of the process's memory out of swap, page by page as it is used; tell whether that is so now.

    Under a limit nothing is locked: memory that the limit forbids to lock could not be had at all any more.
    """
    with suppress(OSError, ValueError):  # only root may raise it
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY and not _is_above_limits():
        return False
    locked: int = ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    return locked == 0


def _is_above_limits() -> bool:
    fields = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return bool(int(fields["CapEff"], 16) >> _CAP_IPC_LOCK & 1)


def forget() -> None:
    """Free what a job has left behind, and overwrite what is kept of it for reuse; some thirty milliseconds.

    Whoever hangs up leaves an exception, and in its frames the key that was just found: circles, which Python frees
    only now and then, and an idle agent never. Small arrays wait in NumPy.
    """
    gc.collect()
    for size in range(1, _CACHED_BELOW):
        for buffer in [np.empty(size, dtype=np.uint8) for _ in range(_CACHED)]:
            buffer.fill(0)


def overwrite_products() -> None:
    """Overwrite the vectors that wait in OpenBLAS, which were multiplied. For when nobody else multiplies.

    Of two that multiply at the same time each has a buffer of its own, and only the first of them would be met here.
    """
    np.zeros((_SIDE, _SIDE)) @ np.zeros((_SIDE, _SIDE))
