# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.story``: install, start, enrol, unlock, log in, break, upgrade and remove on a booted Debian."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from facelatch.cli.options import told
from tests.pictures import make_scenes
from tests.story.chapters import CHAPTERS
from tests.story.machine import booted
from tests.story.scene import Story
from tools.build_package.__main__ import build
from tools.build_package.suites import SUITES
from tools.debian import Debian, require_able


@click.command()
@click.option("--suite", type=click.Choice(sorted(SUITES)), default="trixie", show_default=True)
@told
def main(suite: str) -> None:
    """Tell the whole story on a Debian release; needs root, and a network for the first time."""
    require_able(("debootstrap", "systemd-nspawn", "nsenter"), ("debootstrap", "systemd-container"))
    # Ended from outside, it ends its container, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = Debian(suite, suite, ("pamtester",)).root()
    with TemporaryDirectory(prefix="facelatch-story-") as folder:
        ours = Path(folder)
        ours.chmod(0o755)
        click.echo("building the package, and the one that follows it ...")
        packages = [build(suite, "amd64", ours / "packages", revision) for revision in ("1", "2")]
        make_scenes(ours / "scenes")
        start = time.monotonic()
        with booted(root, {ours: "/story"}, ours / "console.log") as machine:
            click.echo(f"booted Debian {suite} in {time.monotonic() - start:.1f} s")
            story = Story(machine, ours, [Path("/story/packages", package.name) for package in packages])
            for chapter in CHAPTERS:
                begun = time.monotonic()
                found = chapter(story)
                click.echo(f"ok  {time.monotonic() - begun:5.1f} s  {chapter.__doc__}{f'  [{found}]' if found else ''}")
        click.echo(f"all told in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
