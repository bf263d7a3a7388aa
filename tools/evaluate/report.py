# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML page with pictures, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from html import escape

from tools import page
from tools.dataset import UNREADABLE
from tools.evaluate import pictures, table
from tools.evaluate.chart import percent
from tools.evaluate.figures import Run

# People shown by name, the most failures first.
_NAMED = 16


def render(run: Run, figures: Mapping[str, object]) -> str:
    """Return the page; identities appear by the names of their folders, and no face does."""
    name = escape(run.dataset)
    sections = "".join([_pictures(run), _people(run), _gate(run)])
    body = f'{_head(run, figures)}<div class="pictures">{sections}</div>{_all(figures)}'
    return page.html(f"Facelatch on {name}", body)


def _head(run: Run, figures: Mapping[str, object]) -> str:
    protocol = run.protocol
    how = "enrolled in one session, tried in another" if protocol.sessions else "images split at random"
    said = "".join(f'<p class="warn">{escape(line)}</p>' for line in table.warnings(figures))
    tiles: list[tuple[str, str, str]] = [
        ("false rejects", _rate(figures["frr"]), _range(figures["frr_ci95"], percent)),
        ("false accepts", _accepts(run), _range(figures["far_ci95"], percent)),
        ("guesswork, median", _bits(figures["guesswork_bits"]), _range(figures["guesswork_ci95"], _bits)),
        ("images refused", _rate(figures["failure_to_acquire"]), "by the quality gate"),
        ("one decode", _milliseconds(figures["decode_ms_p50"]), "median, here"),
    ]
    shown = "".join(f"<div>{label}<b>{value}</b><span class=soft>{note}</span></div>" for label, value, note in tiles)
    return (
        f"<h1>Facelatch on {escape(run.dataset)}</h1>"
        f'<p class="soft">{len(run.people)} people, {figures["images"]} images; {how}: {protocol.enrol} to enrol, up '
        f"to {protocol.probe} to unlock; {figures['genuine_attempts']:,} genuine and {figures['impostor_attempts']:,} "
        f"impostor attempts; parameter set {escape(run.parameters.name)}; seed {protocol.seed}. "
        f"Ranges are 95 % intervals.</p>{said}"
        f'<div class="tiles">{shown}</div>'
    )


def _pictures(run: Run) -> str:
    drawn = [
        (
            "Who is near whom",
            pictures.histograms(run),
            "Each attempt's distance to an enrolment, the nearest of its looks. Left of the line a key is looked for.",
        ),
        (
            "Strength against comfort",
            pictures.strength_curve(run),
            "A smaller cell of the lattice hides a face among more points, and opens less often. Bars: 95 % by people.",
        ),
        (
            "Error trade-off",
            pictures.det_curve(run),
            "What a threshold on the distance would give; the left and the lower edge stand for none at all. Dot: what "
            "decoding gives, at the upper bound of its false accepts.",
        ),
        (
            "If everything leaks",
            pictures.attack(run),
            "Predicted chance of someone with record, device key and no photograph, trying the most face-like points "
            "first.",
        ),
        (
            "From session to session",
            pictures.drift(run),
            "Filled: attempts, red where refused. Hollow: other frames of the session of enrolment, as near as one "
            "comes.",
        ),
    ]
    return "".join(
        f"<section><h2>{title}</h2><figure>{picture}<figcaption>{caption}</figcaption></figure></section>"
        for title, picture, caption in drawn
        if picture
    )


def _people(run: Run) -> str:
    attempts: Counter[str] = Counter(trial.person for trial in run.genuine)
    failed = Counter(trial.person for trial in run.genuine if trial.opened_at is None)
    if not attempts:
        return ""
    images, refused = _images(run)
    worst = sorted(attempts, key=lambda person: (-failed[person] / attempts[person], -refused[person], person))[:_NAMED]
    rows = "".join(
        f"<tr><td>{escape(person)}<td>{_bar(failed[person], attempts[person])}"
        f"<td>{_bar(refused[person], images[person])}"
        for person in worst
    )
    rest = len(attempts) - len(worst)
    others = sum(1 for person in attempts if person not in worst and failed[person])
    more = f'<p class="soft">{rest} more people, {others} of them with a failure.</p>' if rest else ""
    return (
        f"<section><h2>By identity</h2><table><tr><th>folder<th>attempts refused<th>images refused{rows}"
        f"</table>{more}</section>"
    )


def _images(run: Run) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Count all images and those that the gate refused, by person."""
    refused = Counter(run.protocol.person(image.person) for image in run.data.refused if image.reason != UNREADABLE)
    images: dict[str, int] = defaultdict(int, refused)
    for folder, count in Counter(run.data.people.tolist()).items():
        images[run.protocol.person(folder)] += count
    return images, refused


def _gate(run: Run) -> str:
    total = len(run.data.people) + len(run.data.refused)
    rows = _rows((escape(hint), _bar(count, total)) for hint, count in run.data.reasons.items())
    return f"<section><h2>Images that did not count</h2><table>{rows}</table></section>" if rows else ""


def _all(figures: Mapping[str, object]) -> str:
    rows = _rows((name, escape(value)) for name, value in table.rows(figures))
    return f"<section><details><summary>All figures</summary><table>{rows}</table></details></section>"


def _rows(cells: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><td>{first}<td>{second}" for first, second in cells)


def _bar(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f'{part} of {whole}<span class="bar" style="background-size: {share:.1f}%"></span>'


def _accepts(run: Run) -> str:
    attempts = len(run.impostors.distances)
    return f"{run.impostors.opened} of {attempts:,}" if attempts else "&ndash;"


def _rate(value: object) -> str:
    return percent(value) if isinstance(value, float) else "&ndash;"


def _bits(value: object) -> str:
    return f"{value:.1f} bits" if isinstance(value, float) else "&ndash;"


def _milliseconds(value: object) -> str:
    return f"{value:.1f} ms" if isinstance(value, float) else "&ndash;"


def _range(value: object, word: Callable[[float], str]) -> str:
    if not isinstance(value, tuple):
        return ""
    low, high = value
    return f"{word(low)} to {word(high)}"
