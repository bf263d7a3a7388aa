# SPDX-License-Identifier: Apache-2.0
"""What the inversion attack found, as figures, a table, sentences and pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from tools.decoding.tables import Table
from tools.redteam.inversion.drawing import Pictures
from tools.redteam.inversion.judge import Flags, Rate

# People whose pictures the report shows.
SHOWN = 8
_TITLES = {
    "plain": "plain embedding",
    "mrp": "random projection (MRP)",
    "lwe_fe": "earlier LWE scheme",
    "sketch": "E8 sketch",
    "l2fe": "our record",
    "l2fe_weak": "our record, cell too wide (control)",
}
_GUESSES = {"l2fe": ("our record, nearest", "our record, regression"), "l2fe_weak": (_TITLES["l2fe_weak"],)}


@dataclass(frozen=True)
class Result:
    """The attack on one form.

    Attributes:
        name: of the form, as in the JSON file.
        names: (m,) people attacked, those with another image first.
        embedding: (m,) whose estimate is taken for them.
        picture: (m,) the same of the picture, encoded again.
        regression: (m,) the same of the picture before the descent.
        other_embedding: (n,) whose estimate is taken for them by another image.
        other_picture: (n,) the same of the picture.
        opens: (m,) whose picture would open our record of them.
        likeness: mean cosine of estimate and enrolment.
        shown: (g, s, 112, 112, 3) the first few pictures, of each guess.
    """

    name: str
    names: list[str]
    embedding: Flags
    picture: Flags
    regression: Flags
    other_embedding: Flags
    other_picture: Flags
    opens: Flags
    likeness: float
    shown: Pictures


def figures(result: Result, baseline: float, seed: int) -> dict[str, object]:
    """Return what goes into the JSON file."""
    embedding, picture = (Rate.of(result.names, events, seed) for events in (result.embedding, result.picture))
    advantage = {"embedding": embedding.upper - baseline, "picture": picture.upper - baseline}
    return {
        "targets": len(result.names),
        "asr_embedding": embedding.value,
        "asr_embedding_ci95": embedding.interval,
        "asr_picture": picture.value,
        "asr_picture_ci95": picture.interval,
        "asr_picture_by_regression": float(result.regression.mean()),
        "asr_embedding_other_image": _mean(result.other_embedding),
        "asr_picture_other_image": _mean(result.other_picture),
        "picture_opens_our_record": float(result.opens.mean()),
        "cosine": result.likeness,
        "baseline": baseline,
        "advantage_upper95": max(advantage.values()),
        "advantage_upper95_of": advantage,
    }


def table(found: Sequence[Result], baseline: float, threshold: float, far: float, seed: int) -> Table:
    """Return the forms side by side."""
    rows = []
    for result in found:
        embedding, picture = (Rate.of(result.names, events, seed) for events in (result.embedding, result.picture))
        cells = [_TITLES[result.name], str(len(result.names)), f"{result.likeness:.2f}", str(embedding)]
        cells += [_percent(result.other_embedding), str(picture), _percent(result.other_picture)]
        cells += [_percent(result.regression), _percent(result.opens)]
        worst = max(embedding.upper, picture.upper) - baseline
        rows.append([*cells, f"{worst:.2%}"])
    columns = [
        "stored",
        "people",
        "cosine",
        "estimate taken for the owner (95 %)",
        "by another image",
        "picture taken for the owner (95 %)",
        "by another image",
        "picture by regression alone",
        "picture opens our record",
        "advantage at most",
    ]
    title = f"Inversion; matcher at cosine {threshold:.3f}, FAR {far:g}; somebody else or a mean face: {baseline:.3%}"
    return Table(title, columns, rows)


def said(found: Sequence[Result]) -> list[str]:
    """Return what a door owner should know."""
    by_name = {result.name: result for result in found}
    plain, own = by_name["plain"], by_name["l2fe"]
    return [
        f"A picture drawn from the stored embedding passes for its owner for {plain.picture.mean():.0%} of people.",
        f"From our record, key and all, without searching: {int(own.picture.sum())} of {len(own.names)}.",
    ]


def faces(originals: Pictures, found: Sequence[Result]) -> str:
    """Return the originals beside what was drawn from each form, a person a row, as HTML."""
    columns = [("original", originals)]
    for result in found:
        titles = _GUESSES.get(result.name, (_TITLES[result.name],))
        columns += zip(titles, result.shown, strict=False)
    head = "".join(f"<th>{title}" for title, _ in columns)
    rows = []
    for row in range(len(originals)):
        cells = [_image(pictures[row]) if row < len(pictures) else "" for _, pictures in columns]
        rows.append("<tr>" + "".join(f"<td>{cell}" for cell in cells))
    return f"<table><tr>{head}{''.join(rows)}</table>"


def _image(picture: Pictures) -> str:
    _, data = cv2.imencode(".jpg", picture[..., ::-1])
    source = base64.b64encode(data.tobytes()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{source}" alt="" style="width: 100%; border-radius: .4rem">'


def _mean(events: Flags) -> float | None:
    return float(events.mean()) if len(events) else None


def _percent(events: Flags) -> str:
    return f"{events.mean():.1%}" if len(events) else ""
