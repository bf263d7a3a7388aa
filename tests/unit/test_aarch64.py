# SPDX-License-Identifier: Apache-2.0
"""What ``python -m tests.aarch64`` goes by; it itself takes an hour and more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.aarch64.guest import TREE, locked_wheels, require_registered
from tests.aarch64.left_out import LEFT_OUT, TOOLS
from tools.build_package.suites import SUITES
from tools.debian import StoryError

REGISTERED = "enabled\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: PF\noffset 0\nmagic 7f454c46\n"


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_there(name: str) -> None:
    path, _, function = name.partition("::")
    assert f"def {function.partition('[')[0]}(" in (TREE / path).read_text()


@pytest.mark.parametrize("files", TOOLS)
def test_what_no_device_runs_are_tools(files: str) -> None:
    found = list((TREE / "tests" / "unit").glob(f"test_{files}.py"))
    assert found
    for path in found:
        assert re.search(r"^(from|import) (tools|tests\.(fuzz|aarch64))\b", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("suite", SUITES)
def test_every_locked_package_comes_by_its_hash(suite: str) -> None:
    wheels = locked_wheels(SUITES[suite].python)
    assert {"ai-edge-litert", "numpy", "pynacl", "pytest", "scikit-image"} <= wheels.keys()
    assert all("--hash=sha256:" in line for line in wheels.values())


def test_a_kernel_that_runs_aarch64_in_every_root_will_do(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64").write_text(REGISTERED)
    require_registered(tmp_path)


@pytest.mark.parametrize("text", [REGISTERED.replace("enabled", "disabled"), REGISTERED.replace("PF", "P")])
def test_one_that_does_not_is_told_of(text: str, tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64").write_text(text)
    with pytest.raises(StoryError, match="update-binfmts"):
        require_registered(tmp_path)


def test_without_a_registration_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="mount -t binfmt_misc"):
        require_registered(tmp_path)
