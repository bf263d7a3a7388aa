# SPDX-License-Identifier: Apache-2.0
"""What ships is listed with its licence, in the form that others can read; and nothing ships unlisted."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from facelatch.l2fe.parameters import PINNED
from facelatch.models import manifest
from tools.build_package.suites import SUITES
from tools.sbom import licences
from tools.sbom.__main__ import LOCKS, document, locked
from tools.sbom.contents import ContentsError
from tools.sbom.licences import Entry, LicenceError

MAKEFILE = Path(__file__).parents[2] / "Makefile"

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real wheel."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own arguments
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="module")
def parts(wheel: Path) -> dict[str, Any]:
    return {part["name"]: part for part in json.loads(document(wheel))["components"]}


def test_the_list_is_of_the_standards_form(wheel: Path) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    text = document(wheel)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"components"', '"compartments"')) is not None
    assert text == document(wheel)


def test_models_and_parameter_sets_are_in_it_by_their_hashes(parts: dict[str, Any]) -> None:
    pinned = {name: entry.sha256 for name, entry in manifest().models.items()}
    pinned |= {f"{name}.json": digest for name, digest in PINNED.items()}
    assert len(pinned) > 5
    for name, digest in pinned.items():
        assert parts[name]["hashes"] == [{"alg": "SHA-256", "content": digest}]
        assert parts[name]["licenses"]


def test_every_locked_package_is_in_it_with_its_hashes(parts: dict[str, Any]) -> None:
    packages = locked()
    assert len(packages) > 10
    for name, (_, hashes) in packages.items():
        assert {one["hashes"][0]["content"] for one in parts[name]["externalReferences"]} == set(hashes) != set()


def test_what_was_exchanged_in_the_wheel_is_refused(wheel: Path, tmp_path: Path) -> None:
    changed = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"\0" if name.endswith("mesh.tflite") else b""))
    with pytest.raises(LicenceError, match=r"mesh\.tflite is not the one that is pinned"):
        document(changed)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("facelatch/models/other.tflite", "other.tflite is in no"),
        ("x.libs/libunheard-of.so.1", "the licence of libunheard-of.so.1 is not known"),
        ("vendor/x-1.dist-info/METADATA", "the licence of unheard-of is not known"),
    ],
)
def test_what_nobody_listed_is_refused(name: str, what: str, wheel: Path, tmp_path: Path) -> None:
    changed = tmp_path / wheel.name
    changed.write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr(name, "Name: unheard-of\nVersion: 1\n")
    with pytest.raises(LicenceError, match=what):
        document(changed)


def test_a_wheel_that_describes_itself_twice_is_refused(wheel: Path, tmp_path: Path) -> None:
    changed = tmp_path / wheel.name
    changed.write_bytes(wheel.read_bytes())
    with zipfile.ZipFile(changed, "a") as archive:
        archive.writestr("x-1.dist-info/METADATA", "Name: unheard-of\nVersion: 1\n")
    with pytest.raises(ContentsError, match="2 times"):
        document(changed)


def test_another_file_is_refused() -> None:
    with pytest.raises(ContentsError, match="neither a wheel nor a Debian package"):
        document(ROOT / "README.md")


def test_every_entry_of_the_list_goes_with_apache() -> None:
    listed = licences.read()
    assert set(listed.models) == set(manifest().models)
    for suite in SUITES.values():
        assert {name for names in suite.vendored.values() for name in names} <= set(listed.packages)


@pytest.mark.parametrize(
    ("licence", "what"),
    [
        ("GPL-3.0-or-later", "does not go with Apache-2.0"),
        ("MIT AND AGPL-3.0-only", "does not go with Apache-2.0"),
        ("MIT OR GPL-2.0-only", "does not go with Apache-2.0"),
        ("LGPL-2.1-or-later", "say in a note"),
        ("Proprietary", "not an SPDX expression"),
        ("", "has no licence"),
    ],
)
def test_what_does_not_go_with_it_is_refused(licence: str, what: str) -> None:
    with pytest.raises(LicenceError, match=what):
        licences.require_compatible("one", Entry(licence))


def test_the_list_says_what_the_packages_themselves_say() -> None:
    said = 0
    for name, entry in licences.read().packages.items():
        try:
            said_of = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another Python or system
        if "License-Expression" in said_of:
            said += 1
            assert set(said_of["License-Expression"].split()) <= set(entry.licence.split()), name
    assert said > 3


def test_nothing_is_installed_or_built_with_what_is_not_locked() -> None:
    installs = [line for line in MAKEFILE.read_text().splitlines() if " pip install " in line]
    assert len(installs) > 5
    for line in installs:
        ourselves = line.endswith("--no-deps --no-build-isolation --editable .")
        assert "--require-hashes" in line or ourselves, line
    # The one package without a wheel: pip would fetch the newest setuptools for it, whatever that is.
    (bench,) = (line for line in installs if "bench.txt" in line)
    assert "--no-build-isolation" in bench
    assert "sdist.txt" in installs[installs.index(bench) - 1]


def test_no_requirement_is_without_a_hash() -> None:
    locks = sorted(LOCKS.glob("*.txt"))
    assert len(locks) == 9
    for lock in locks:
        for name, (version, hashes) in locked(lock.name).items():
            assert len(hashes) >= version.count(" or ") + 1, f"{name} in {lock.name}"
        lines = [line for line in lock.read_text().splitlines() if line and not line.startswith((" ", "#"))]
        assert all("==" in line and line.endswith("\\") for line in lines)


def test_what_is_not_permissive_is_named_in_notice() -> None:
    notice, copyright_ = (ROOT / "NOTICE").read_text(), (ROOT / "packaging" / "debian" / "copyright").read_text()
    listed = licences.read()
    for name, entry in {**listed.packages, **listed.libraries}.items():
        if set(entry.licence.split()) & {part.split()[0] for part in licences.SEPARABLE}:
            assert name in notice, name
    for name in (
        *listed.libraries,
        *(name for suite in SUITES.values() for lock in suite.vendored.values() for name in lock),
    ):
        assert name in copyright_, name
