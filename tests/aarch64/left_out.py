# SPDX-License-Identifier: Apache-2.0
"""The unit tests that are left out there, and why; nothing else belongs here."""

from __future__ import annotations

from collections.abc import Mapping

_NO_GROUPS = "QEMU asks the kernel for SO_PEERGROUPS with room for one group only"
_NO_VIDEO = "QEMU does not pass the requests of V4L2 on to the kernel, which would say what is no camera"
_NO_FD = "the kernel starts QEMU in the program's place, once the program's only descriptor is closed"
_NO_SPAWN = "Python 3.13 starts programs by posix_spawn, from which QEMU does not pass on why one could not be"

LEFT_OUT: Mapping[str, str] = {
    "tests/unit/test_ipc_peer.py::test_another_user_is_seen_as_such": _NO_GROUPS,
    "tests/unit/test_camera_v4l2.py::test_what_is_not_a_camera[check]": _NO_VIDEO,
    "tests/unit/test_camera_v4l2.py::test_what_is_not_a_camera[open]": _NO_VIDEO,
    "tests/unit/test_forbidden.py::test_outside_of_the_sandbox_an_attempt_succeeds[run_a_program_from_a_memfd]": _NO_FD,
    "tests/unit/test_device_key_firmware.py::test_without_the_tool": _NO_SPAWN,
}
"""What emulation itself cannot run: by pytest's name of each, what it lacks."""

TOOLS = ("aarch64", "build_*", "decoding_tool", "evaluate_*", "fuzz", "mutation", "pad", "redteam_*", "sbom", "vmtest*")
"""By what tells their files apart: tests of what builds, measures and attacks, which runs on no device."""
