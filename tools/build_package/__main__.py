# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.build_package``: a .deb from this tree, for a Debian release and a machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from facelatch import __version__
from facelatch.cli.options import told
from tools.build_package.suites import ARCHITECTURES, SUITES, Suite
from tools.build_package.tree import PRIVATE, ROOT, add_control, installed_kib, settle, stage
from tools.build_package.wheels import PackageError, unpack

_CONTROL = """\
Package: facelatch
Version: {version}
Architecture: {architecture}
Maintainer: The Facelatch authors <facelatch@localhost>
Installed-Size: {kib}
Depends: {depends}
Recommends: cryptsetup
Suggests: python3-picamera2, tpm2-tools
Section: admin
Priority: optional
Description: face unlock that stores no face
 An agent that looks through the camera, turns a face into an embedding and that into a key with a fuzzy extractor.
 What it keeps is helper data, encrypted; images and embeddings are never written. Results go out over a local socket.
"""
_CHANGELOG = """\
facelatch ({version}) {suite}; urgency=medium

  * Built from the tree; see CHANGELOG.md there.

 -- The Facelatch authors <facelatch@localhost>  {date}
"""
_MAX_SECONDS = 900


@click.command()
@click.option("--suite", type=click.Choice(sorted(SUITES)), required=True)
@click.option("--arch", "architecture", type=click.Choice(sorted(ARCHITECTURES)), required=True)
@click.option("--revision", default="1", show_default=True, help="What follows the version, to tell builds apart.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "build" / "packages", show_default=False)
@told
def main(suite: str, architecture: str, revision: str, out: Path) -> None:
    """Build the package; the wheels that it brings along come from the package index, by the locks' hashes."""
    path = build(suite, architecture, out, revision)
    click.echo(f"{path}  {path.stat().st_size / 1e6:.0f} MB")


def build(name: str, architecture: str, out: Path, revision: str = "1") -> Path:
    """Build a package and return its path.

    Raises:
        PackageError: a wheel cannot be had, or ``dpkg-deb`` is missing or fails.
    """
    suite = SUITES[name]
    version = f"{__version__}-{revision}~{name}"
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise PackageError("dpkg-deb is not installed", "run this on a Debian system")
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _last_commit()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"facelatch_{version}_{architecture}.deb"
    with TemporaryDirectory(prefix="facelatch-package-") as folder:
        root = Path(folder, "root")
        (root / PRIVATE).mkdir(parents=True)
        unpack(suite, ARCHITECTURES[architecture], ROOT / "requirements", root / PRIVATE)
        stage(root, _CHANGELOG.format(version=version, suite=name, date=formatdate(int(epoch))))
        add_control(
            root,
            _CONTROL.format(
                version=version, architecture=architecture, kib=installed_kib(root), depends=", ".join(_depends(suite))
            ),
        )
        settle(root, int(epoch))
        done = subprocess.run(  # noqa: S603 - our own arguments
            [dpkg, "--build", "--root-owner-group", "-Zzstd", str(root), str(path)],
            env={**os.environ, "SOURCE_DATE_EPOCH": epoch},
            capture_output=True,
            text=True,
            check=False,
            timeout=_MAX_SECONDS,
        )
    if done.returncode != 0:
        raise PackageError(f"dpkg-deb fails ({' '.join(done.stderr.split())[:300]})", "see what it says")
    return path


def _last_commit() -> str:
    """Return when the tree was last committed, in seconds since the epoch: the same tree gives the same package."""
    git = shutil.which("git")
    command = [str(git), "-C", str(ROOT), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if git else None  # noqa: S603 - our own arguments
    if done is None or done.returncode != 0:
        raise PackageError("git does not tell when this tree was committed", "set SOURCE_DATE_EPOCH")
    return done.stdout.strip()


def _depends(suite: Suite) -> tuple[str, ...]:
    major, minor = suite.python
    # The wheels brought along are for this Python and no other.
    return (f"python3 (>= {major}.{minor})", f"python3 (<< {major}.{minor + 1})", *suite.depends)


if __name__ == "__main__":
    main()
