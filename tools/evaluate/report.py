# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML page with pictures, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from html import escape

from tools.dataset import UNREADABLE
from tools.evaluate import pictures, table
from tools.evaluate.chart import percent
from tools.evaluate.figures import Run

# People shown by name, the most failures first.
_NAMED = 16

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2329; --soft: #69747d; --grid: #e4e8eb; --own: #1f6fb5;
  --other: #c8591a; --failed: #c22f4a; --card: #f5f7f8; }
@media (prefers-color-scheme: dark) { :root { --page: #14181b; --ink: #e4e9ec; --soft: #93a0a9; --grid: #2b3237;
  --own: #62aef0; --other: #f0955c; --failed: #f2778c; --card: #1d2327; } }
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 72rem; padding: 1.2rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 .3rem; }
p { margin: .3rem 0; } .soft, figcaption { color: var(--soft); font-size: .92rem; }
.warn { border-left: 4px solid var(--failed); padding: .4rem .8rem; background: var(--card); margin: .8rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tiles div { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.3; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem;
  align-items: start; margin: 0 0 1rem; }
section { background: var(--card); border-radius: .6rem; padding: .9rem; margin: 0 0 1rem; min-width: 0; }
.pictures section { margin: 0; } figure { margin: 0; } svg { width: 100%; height: auto; display: block; }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft); } svg .note { fill: var(--ink); }
svg .note.own { fill: var(--own); } svg .note.other { fill: var(--other); }
.grid { stroke: var(--grid); fill: none; } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.own { stroke: var(--own); } .line.other { stroke: var(--other); } .line.faint { stroke: var(--grid);
  stroke-width: 5; stroke-linecap: round; } .line.mark { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 3; }
.area { fill-opacity: .55; } .area.own { fill: var(--own); } .area.other { fill: var(--other); }
.dot { fill: var(--own); fill-opacity: .75; } .dot.failed { fill: var(--failed); } .dot.mark { fill: var(--ink); }
.dot.same { fill: none; stroke: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .92rem; } td, th { text-align: left; padding: .2rem .5rem;
  border-bottom: 1px solid var(--grid); vertical-align: top; overflow-wrap: anywhere; }
.bar { display: block; height: .4rem; border-radius: .2rem; background: linear-gradient(var(--failed) 0 0) no-repeat
  var(--grid); min-width: 4rem; } summary { cursor: pointer; }
"""


def render(run: Run, figures: Mapping[str, object]) -> str:
    """Return the page; identities appear by the names of their folders, and no face does."""
    name = escape(run.dataset)
    sections = "".join([_pictures(run), _people(run), _gate(run)])
    body = f'{_head(run, figures)}<div class="pictures">{sections}</div>{_all(figures)}'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Facelatch on {name}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


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
