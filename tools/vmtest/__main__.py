# SPDX-License-Identifier: Apache-2.0
"""``python -m tools.vmtest``: a Debian with TPM, encrypted volume, camera, button and latch, all of them emulated."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from facelatch.cli.options import told
from tools.build_package.__main__ import build
from tools.debian import Debian
from tools.vmtest import hardware
from tools.vmtest.chapters import AFTER, BEFORE
from tools.vmtest.cuts import DEEDS, cut_short
from tools.vmtest.image import PACKAGES, image, make_disk, make_empty
from tools.vmtest.machine import require_emulator
from tools.vmtest.scene import Story
from tools.vmtest.telling import ending, tell

_SUITE = "trixie"
_PACKAGES = (
    *("cryptsetup", "systemd-cryptsetup", "libtss2-esys-3.0.2-0t64", "libtss2-tcti-device0t64", "libtss2-rc0t64"),
    *("v4l-utils", "login", "libpam-systemd"),
)
_VOLUME_MB = 64


@click.command()
@click.option("--cuts", type=click.IntRange(min=0), default=3, show_default=True, help="How often the plug is pulled.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the moments at which it is.")
@told
def main(cuts: int, seed: int) -> None:
    """Tell the whole story in an emulated machine; needs root, QEMU, swtpm, and a network for the first time."""
    require_emulator()
    # Ended from outside, it ends its machine, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    booted = image(Debian(f"vmtest-{_SUITE}", _SUITE, (*PACKAGES, *_PACKAGES)))
    with TemporaryDirectory(prefix="facelatch-vmtest-") as folder:
        given = Path(folder, "given")
        click.echo("building the package and the films ...")
        build(_SUITE, "amd64", given / "packages")
        hardware.pack(given)
        make_disk(given, Path(folder, "given.ext4"))
        make_empty(Path(folder, "volume.qcow2"), _VOLUME_MB)
        owners = Path(folder, "owner")
        owners.mkdir()
        chance = random.Random(seed)  # noqa: S311 - of moments, not of keys
        story = Story(booted, owners, Path(folder, "volume.qcow2"), Path(folder, "given.ext4"), chance)
        steps: list[tuple[str, Callable[[], str | None]]] = [
            (chapter.__doc__ or "", partial(chapter, story)) for chapter in BEFORE
        ]
        for number in range(cuts):
            deed = DEEDS[number % len(DEEDS)]
            what = f"The plug is pulled in the middle of {deed.name}; back on, nothing is lost, and anna gets in."
            steps.append((what, partial(cut_short, story, deed)))
        steps += [(chapter.__doc__ or "", partial(chapter, story)) for chapter in AFTER]
        with ending(story.machine, story.folder):
            for what, step in steps:
                tell(what, step)
    click.echo(f"all told in {(time.monotonic() - begun) / 60:.1f} minutes; plug pulled {cuts} times, seed {seed}")


if __name__ == "__main__":
    main()
