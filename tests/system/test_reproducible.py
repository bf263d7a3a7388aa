# SPDX-License-Identifier: Apache-2.0
"""The same tree gives the same wheel and the same Debian package, wherever and whenever it is built."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1700000000"
# All that goes into either, and what builds them.
PARTS: tuple[str, ...] = (
    "LICENSE",
    "NOTICE",
    "README.md",
    "SECURITY.md",
    "agent",
    "docs",
    "firmware_config",
    "packaging",
    "pyproject.toml",
)
PARTS += ("requirements", "systemd", "tools")
Build = Callable[[Path], None]


def checkout(folder: Path, *, age: int, umask: int) -> Path:
    """Copy the tree, as another checkout would have it: files of another time and other modes."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & 0o777 & ~umask)
        os.utime(path, (age, age))
    return folder


def run(tree: Path, umask: int, *command: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PYTHONPATH": f"{tree / 'agent'}:{tree}"}
    environment |= {"TMPDIR": str(tree.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(  # noqa: S603 - this checkout's own programs
        [sys.executable, "-m", *command],
        cwd=tree,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot be had" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr


def built_twice(folder: Path, *command: str, change: str = "") -> list[str]:
    """Build in two checkouts; return the hashes. A change is made to the second of them."""
    hashes: list[str] = []
    for name, age, umask in (("one", 1_600_000_000, 0o022), ("another-one", 1_800_000_000, 0o077)):
        tree = checkout(folder / name / "tree", age=age, umask=umask)
        if change and hashes:
            (tree / change).write_text((tree / change).read_text() + "\n")
        out = folder / name / "out"
        run(tree, umask, *(part.replace("OUT", str(out)) for part in command))
        (file,) = out.iterdir()
        hashes.append(hashlib.sha256(file.read_bytes()).hexdigest())
    return hashes


WHEEL = ("hatchling", "build", "--target", "wheel", "--directory", "OUT")
DEBIAN = ("tools.build_package", "--suite", "trixie", "--arch", "amd64", "--out", "OUT")
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")


@pytest.mark.parametrize("command", [WHEEL, pytest.param(DEBIAN, marks=needs_dpkg)], ids=["wheel", "deb"])
def test_two_builds_give_one_file(command: tuple[str, ...], tmp_path: Path) -> None:
    one, other = built_twice(tmp_path, *command)
    assert one == other


def test_another_tree_gives_another_file(tmp_path: Path) -> None:
    one, other = built_twice(tmp_path, *WHEEL, change="agent/facelatch/__init__.py")
    assert one != other
