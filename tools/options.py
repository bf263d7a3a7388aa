# SPDX-License-Identifier: Apache-2.0
"""Command line options that several tools share."""

from __future__ import annotations

from pathlib import Path

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, writable=True, path_type=Path)
changes = click.option(
    "--changes",
    multiple=True,
    type=FOLDER,
    help="Folder of people in many conditions, PERSON or PERSON-SESSION, that the model is fitted to too; repeatable.",
)
json = click.option("--json", "output", type=FILE, help="Write the figures here.")
faces = click.option(
    "--dataset",
    "data",
    type=FOLDER,
    help="Folder with one folder of images a person; without it only synthetic data is used.",
)
