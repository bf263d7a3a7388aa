# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.aarch64``: unit tests, records, embeddings and times on an emulated aarch64."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from facelatch.cli.options import Exit, told
from facelatch.errors import FacelatchError
from tests.aarch64.chapters import CHAPTERS, PI_4, World
from tests.aarch64.guest import guest, require_emulation
from tests.pictures import make_scenes
from tools.build_package.suites import SUITES


@click.command()
@click.option("--suite", type=click.Choice(sorted(SUITES)), default="bookworm", show_default=True)
@click.option("--only", type=click.Choice(tuple(CHAPTERS)), multiple=True, help="A part; may be given more than once.")
@click.argument("tests", nargs=-1)
@told
def main(suite: str, only: tuple[str, ...], tests: tuple[str, ...]) -> None:
    """Run TESTS (tests/unit unless given) and the rest on a Debian release.

    Needs root, and a network for the first time.
    """
    require_emulation()
    # Ended from outside, it ends its container, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failed = False
    with TemporaryDirectory(prefix="facelatch-aarch64-") as folder:
        shared = Path(folder)
        make_scenes(shared / "scenes")
        arm, amd = guest(suite, "arm64", shared).on(PI_4), guest(suite, "amd64", shared)
        world = World(arm, amd, shared, tests or ("tests/unit",))
        start = time.monotonic()
        for name in only or CHAPTERS:
            begun = time.monotonic()
            try:
                found, word = CHAPTERS[name](world), "ok  "
            except FacelatchError as error:
                found, word, failed = str(error), "FAIL", True
            click.echo(f"{word} {time.monotonic() - begun:6.0f} s  {CHAPTERS[name].__doc__}  [{found}]")
        click.echo(f"{'not all holds' if failed else 'all holds'}, in {time.monotonic() - start:.0f} s")
    sys.exit(Exit.NO if failed else Exit.YES)


if __name__ == "__main__":
    main()
