# SPDX-License-Identifier: Apache-2.0
"""Has a stage become costlier? ``python -m tools.bench guard``, by ratios to a fixed piece of work in the same run."""

from __future__ import annotations

import platform
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from facelatch import parameters
from facelatch.errors import FacelatchError
from tools.bench import baseline, stages
from tools.decoding.tables import Table

LIMITS = Path(__file__).with_name("limits.toml")
# Runs of one build differed by up to a fifth beside other work; what is to be noticed is more than that.
SLACK = 1.4
_REPEATS = 25
# Alignment, quality and projection take a fraction of a millisecond each; the first two are in the frame.
_GUARDED = (
    *("detect_ms", "mesh_ms", "encode_int8_ms", "frame_ms"),
    *("rotation_ms", "parameters_load_ms", "argon2id_ms"),
)
_USERS = (1, 100)


class LimitsError(FacelatchError):
    """The kept limits cannot be read, or there are none for this kind of processor."""


@dataclass(frozen=True)
class Judged:
    """One stage against its limit.

    Attributes:
        stage: its name.
        ratio: to the baseline, now.
        kept: the ratio that is kept of it, or None for a stage that is new.
    """

    stage: str
    ratio: float
    kept: float | None

    @property
    def grown(self) -> bool:
        """Whether it takes more than the slack allows; a stage without a limit has none to keep."""
        return self.kept is not None and self.ratio > SLACK * self.kept


def judge(found: Mapping[str, float], kept: Mapping[str, float]) -> list[Judged]:
    """Hold the ratios found against those kept.

    Raises:
        LimitsError: a stage that is kept was not measured, so nobody would notice its growing.
    """
    lost = sorted(kept.keys() - found.keys())
    if lost:
        raise LimitsError(
            f"{', '.join(lost)} has a limit but is not measured", "run `python -m tools.bench guard --update`"
        )
    return [Judged(stage, ratio, kept.get(stage)) for stage, ratio in found.items()]


def table(judged: list[Judged]) -> Table:
    """Show each stage."""
    rows = [
        [
            each.stage.removesuffix("_ms"),
            f"{each.ratio:.3g}",
            "new" if each.kept is None else f"{each.kept:.3g}",
            "" if each.kept is None else f"{each.ratio / each.kept:.2f}",
            "GROWN" if each.grown else "",
        ]
        for each in judged
    ]
    title = f"Processor time in units of the baseline's; more than {SLACK} times what is kept has grown"
    return Table(title, ["stage", "now", "kept", "times", ""], rows)


def read(path: Path, machine: str) -> dict[str, float]:
    """Return the ratios kept for a kind of processor.

    Raises:
        LimitsError: the file cannot be read, or holds none for it.
    """
    try:
        kept = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LimitsError(f"{path.name} cannot be read ({error})", "restore it") from error
    if machine not in kept:
        raise LimitsError(
            f"{path.name} has no limits for {machine}", "keep some by `python -m tools.bench guard --update`"
        )
    return {stage: float(ratio) for stage, ratio in kept[machine].items()}


def write(path: Path, machine: str, found: Mapping[str, float]) -> None:
    """Keep the ratios for a kind of processor, beside those of others."""
    kept = tomllib.loads(path.read_text()) if path.exists() else {}
    kept[machine] = {stage: float(f"{ratio:.3g}") for stage, ratio in found.items()}
    text = "# Ratios to the baseline, by kind of processor: `python -m tools.bench guard --update` writes them.\n"
    for name, ratios in sorted(kept.items()):
        text += f"\n[{name}]\n" + "".join(f"{stage} = {ratio}\n" for stage, ratio in ratios.items())
    path.write_text(text)


def calls() -> dict[str, Callable[[], object]]:
    """Return the stages that are guarded."""
    scene = stages.scene()
    every = {**stages.face(scene), **stages.core(scene)}
    chosen = {name: every[name] for name in _GUARDED}
    p = parameters.read("standard")
    return {**chosen, **{f"decode_{users}_ms": stages.decode(p, users) for users in _USERS}}


@click.command("guard")
@click.option("--update", is_flag=True, help="Keep what is measured now as the limits.")
@click.option(
    "--limits", default=LIMITS, type=click.Path(dir_okay=False, path_type=Path), help="File of the ratios kept."
)
def command(update: bool, limits: Path) -> None:
    """Exit with 1 if a stage has become costlier against a fixed piece of work than the kept limits allow."""
    guarded = calls()
    raise SystemExit(run(guarded, limits, update=update))


def run(guarded: Mapping[str, Callable[[], object]], limits: Path, *, update: bool, repeats: int = _REPEATS) -> int:
    """Measure, print, and return the exit status: 0, or 1 if a stage has grown, or 2 if that cannot be told."""
    machine = platform.machine()
    with click.progressbar(length=len(guarded), label="Measuring", file=sys.stderr) as bar:
        found = baseline.ratios(guarded, repeats, lambda: bar.update(1))
    try:
        if update:
            write(limits, machine, found)
        kept = read(limits, machine)
        again = {each.stage: guarded[each.stage] for each in judge(found, kept) if each.grown}
        # What has grown is so in a second look, too; what was in the way has gone by then.
        for stage, ratio in baseline.ratios(again, repeats, lambda: None).items():
            found[stage] = min(found[stage], ratio)
        judged = judge(found, kept)
    except FacelatchError as error:
        click.echo(f"error: {error}", err=True)
        return 2
    click.echo(table(judged).markdown())
    grown = [each.stage for each in judged if each.grown]
    if grown:
        click.echo(f"grown: {', '.join(grown)}", err=True)
    return int(bool(grown))
