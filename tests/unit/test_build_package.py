# SPDX-License-Identifier: Apache-2.0
"""What goes into the package, and what its scripts may do. ``python -m tests.story`` installs it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from facelatch.provisioning.system import System
from tools.build_package.suites import SUITES
from tools.build_package.tree import PRIVATE, ROOT, add_control, stage
from tools.build_package.wheels import PackageError, locked

LOCK = """\
# comment
one==1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa \\
    --hash=sha256:bb
one==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
two==3.0 \\
    --hash=sha256:dd
three==1.0
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's files, without wheels."""
    root = tmp_path_factory.mktemp("package")
    stage(root, "changes")
    add_control(root, "Package: facelatch\n")
    return root


def test_locked_lines_are_those_for_that_python_with_every_hash() -> None:
    assert locked(LOCK, ("two", "one"), (3, 11)) == [
        "two==3.0 --hash=sha256:dd",
        "one==1.0 --hash=sha256:aa --hash=sha256:bb",
    ]
    assert locked(LOCK, ("one",), (3, 13)) == ["one==2.0 --hash=sha256:cc"]


@pytest.mark.parametrize("name", ["three", "four"])
def test_nothing_comes_along_without_a_hash(name: str) -> None:
    with pytest.raises(PackageError, match=f"{name} is not locked"):
        locked(LOCK, (name,), (3, 11))


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_to_come_along_is_locked(suite: str) -> None:
    chosen = SUITES[suite]
    for lock, names in chosen.vendored.items():
        lines = locked((ROOT / "requirements" / lock).read_text(), names, chosen.python)
        assert [re.split("==", line)[0] for line in lines] == list(names)


def test_nothing_is_installed_where_pam_is_configured(root: Path) -> None:
    installed = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert not [path for path in installed if path.startswith("etc/") and path != "etc/facelatch/facelatch.toml"]
    for path in ("usr/share/pam-configs/facelatch", f"{PRIVATE}/facelatch/models/encoder.tflite"):
        assert path in installed


def test_what_the_units_run_is_in_the_package(root: Path) -> None:
    units = [*(root / "usr/lib/systemd/system").iterdir()]
    assert len(units) == 4
    for unit in units:
        for program in re.findall(r"^Exec\w+=[-+]?(?:/usr/bin/python3 -sP )?(\S+)", unit.read_text(), re.MULTILINE):
            assert (root / program.lstrip("/")).stat().st_mode & 0o111


def test_the_scripts_neither_fetch_anything_nor_touch_pam(root: Path) -> None:
    sh = shutil.which("sh")
    assert sh is not None
    for name in ("postinst", "prerm", "postrm"):
        script = root / "DEBIAN" / name
        assert script.stat().st_mode & 0o777 == 0o755
        System(dry=False).run(sh, "-n", str(script))
        code = "\n".join(line for line in script.read_text().splitlines() if not line.lstrip().startswith("#"))
        assert not re.search(r"pam|curl|wget|pip|apt", code)


def test_profiles_are_not_on_by_default(root: Path) -> None:
    for profile in (root / "usr/share/pam-configs").iterdir():
        assert "Default: no" in profile.read_text().splitlines()
