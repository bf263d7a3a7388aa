# SPDX-License-Identifier: Apache-2.0
"""Which file of this tree goes where in the package."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRIVATE = "usr/lib/facelatch"
"""Where the package's own modules lie, on nobody else's path."""

_UNITS = "usr/lib/systemd/system"
_SHARED = "usr/share/facelatch"
_DOC = "usr/share/doc/facelatch"
_PACKAGING = ROOT / "packaging" / "debian"
_SETTINGS = ROOT / "firmware_config"
_SCRIPTS = ("postinst", "prerm", "postrm")
_CONFIG = "etc/facelatch/facelatch.toml"


def stage(root: Path, changelog: str) -> None:
    """Copy this tree's files to where they will be installed.

    Args:
        root: an empty directory that stands for the root of the file system.
        changelog: text of ``changelog.Debian``.
    """
    shutil.copytree(
        ROOT / "agent" / "facelatch", root / PRIVATE / "facelatch", ignore=shutil.ignore_patterns("__pycache__")
    )
    for source, target, mode in _files():
        place = root / target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
        place.chmod(mode)
    # mtime=0, so that the same tree gives the same package.
    (root / _DOC / "changelog.Debian.gz").write_bytes(gzip.compress(changelog.encode(), mtime=0))


def add_control(root: Path, control: str) -> None:
    """Write the package's own description beside its files: control, scripts, configuration files and sums."""
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}" for path in _regular(root)]  # noqa: S324 - the format's
    folder = root / "DEBIAN"
    folder.mkdir()
    (folder / "control").write_text(control)
    (folder / "conffiles").write_text(f"/{_CONFIG}\n")
    (folder / "md5sums").write_text("\n".join(sums) + "\n")
    for name in _SCRIPTS:
        shutil.copyfile(_PACKAGING / name, folder / name)
        (folder / name).chmod(0o755)


def settle(root: Path, epoch: int) -> None:
    """Give every file the mode and the time that it shall have, whatever the checkout, pip and the umask gave it.

    Args:
        root: of the package's files.
        epoch: seconds since 1970.
    """
    for path in sorted(root.rglob("*"), reverse=True):
        runs = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch))
    root.chmod(0o755)
    os.utime(root, (epoch, epoch))


def installed_kib(root: Path) -> int:
    """Return what the files take up, in KiB."""
    return sum(path.stat().st_size for path in _regular(root)) // 1024


def _regular(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def _files() -> Iterator[tuple[Path, str, int]]:
    """Every file but the modules: from where, to where, with which mode."""
    yield _PACKAGING / "facelatch", "usr/bin/facelatch", 0o755
    yield _SETTINGS / "provision", "usr/sbin/facelatch-provision", 0o755
    yield _SETTINGS / "facelatch.toml", _CONFIG, 0o644
    yield _SETTINGS / "sysusers.d" / "facelatch.conf", "usr/lib/sysusers.d/facelatch.conf", 0o644
    yield _SETTINGS / "tmpfiles.d" / "facelatch.conf", "usr/lib/tmpfiles.d/facelatch.conf", 0o644
    yield _SETTINGS / "udev" / "60-facelatch.rules", "usr/lib/udev/rules.d/60-facelatch.rules", 0o644
    yield _SETTINGS / "facelatch.catalog", "usr/lib/systemd/catalog/facelatch.catalog", 0o644
    yield _SETTINGS / "config.txt", f"{_SHARED}/config.txt", 0o644
    for unit in sorted((ROOT / "systemd").iterdir()):
        if unit.suffix in (".service", ".socket"):
            yield unit, f"{_UNITS}/{unit.name}", 0o644
    for example in sorted((ROOT / "systemd" / "examples").iterdir()):
        yield example, f"{_SHARED}/examples/{example.name}", 0o644
    # Offered to pam-auth-update, which asks root; nothing of ours writes to /etc/pam.d.
    for profile in ("facelatch", "facelatch-reset"):
        yield _SETTINGS / "pam" / profile, f"usr/share/pam-configs/{profile}", 0o644
    yield _SETTINGS / "pam" / "facelatch.pam.d", f"{_SHARED}/examples/facelatch.pam.d", 0o644
    texts = ("README.md", "NOTICE", "SECURITY.md", "docs/audit.md", "docs/limitations.md", "docs/threat-model.md")
    for text in texts:
        yield ROOT / text, f"{_DOC}/{Path(text).name}", 0o644
    yield _PACKAGING / "copyright", f"{_DOC}/copyright", 0o644
