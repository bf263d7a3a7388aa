# SPDX-License-Identifier: Apache-2.0
"""What the process does to keep its memory to itself, before any secret is in it."""

from __future__ import annotations

import ctypes
import os
import resource

# From linux/prctl.h; Python's standard library does not name it.
_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """Forbid core dumps and being read by other processes of the same user.

    Python cannot wipe what it frees, so a dump of the process is a dump of embeddings and keys.

    Raises:
        OSError: the kernel refuses; the agent must not run then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
