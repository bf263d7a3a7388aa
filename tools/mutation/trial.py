# SPDX-License-Identifier: Apache-2.0
"""One mutant, one process: the tests are run against it, and whether they notice is told by how the process ends."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import tempfile
import types
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

CPU_SECONDS = 150
"""Most processor time of a trial: several times what the slowest tests take. A mutant that needs more is stuck."""

WALL_SECONDS = 1800
"""A trial that waits for ever uses no processor. Far longer than any takes on a busy machine."""

MEMORY_BYTES = 8 * 2**30
"""So that a mutant that asks for the whole memory fails instead of getting it."""

_MEMORY = "/dev/shm"  # noqa: S108 - pytest makes a directory of its own there, closed to others
_OPTIONS = ("-x", "-q", "--noconftest", "--assert=plain", "-pno:cacheprovider", "-pno:xdist", "-pno:faulthandler")


class Outcome(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    STUCK = "killed, as it did not come to an end"
    SURVIVED = "survived"


def warm() -> None:
    """Load what every trial needs and no mutant touches, so that each forked process has it already.

    What the tests write goes into memory, where there is such a place: thousands of real syncs would take hours.
    """
    if os.access(_MEMORY, os.W_OK):
        os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY
    for name in ("asyncvarlink", "msgspec", "nacl.bindings", "nacl.public", "nacl.pwhash", "nacl.signing", "numpy"):
        importlib.import_module(name)
    import hypothesis

    # The same examples each time; and a mutant that fails need not be made to fail prettily.
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutation")
    assert not any(name.partition(".")[0] in ("facelatch", "tests") for name in sys.modules)


def run(module: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> Outcome:
    """Run tests in a process of their own in which a module is another one.

    Args:
        module: its full name.
        path: its file.
        tree: what it is instead.
        tests: as pytest takes them.
    """
    child = os.fork()
    if child == 0:
        os._exit(_trial(module, path, tree, tests))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        ended = os.WTERMSIG(status)
        return Outcome.STUCK if ended in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL) else Outcome.KILLED
    return Outcome.SURVIVED if os.WEXITSTATUS(status) == pytest.ExitCode.OK else Outcome.KILLED


def _trial(module: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> int:
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.alarm(WALL_SECONDS)
    try:
        sys.meta_path.insert(0, _Finder(module, path, compile(tree, str(path), "exec")))
        return int(pytest.main([*_OPTIONS, *tests]))
    except BaseException:
        return int(pytest.ExitCode.INTERNAL_ERROR)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module another content."""

    def __init__(self, name: str, path: Path, code: types.CodeType) -> None:
        self._name = name
        self._path = path
        self._code = code

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, self._path, loader=self)

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102 - our own source, with a fault of our own
