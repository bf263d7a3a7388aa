# SPDX-License-Identifier: Apache-2.0
"""The red team's report: what was attacked, what gave way, and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from tools import page
from tools.redteam.part import Job, Outcome


def render(job: Job, outcomes: Mapping[str, Outcome]) -> str:
    """Return the page. It shows faces of the data set where an attack's pictures do."""
    name = escape(job.folder.resolve().name)
    quick = '<p class="warn">A quick run: it shows that the attacks work. Its figures mean little.</p>'
    parts = "".join(_part(part, outcome) for part, outcome in outcomes.items())
    head = (
        f'<h1>Red team on {name}</h1><p class="soft">Parameter set {escape(job.parameters.name)}, seed {job.seed}.</p>'
    )
    return page.html(f"Red team on {name}", head + (quick if job.quick else "") + parts)


def _part(name: str, outcome: Outcome) -> str:
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in outcome.said)
    controls = "".join(
        f"<li>{escape(control.name)}: <b>{'gives way' if control.bites else 'holds, so this attack shows nothing'}</b>"
        for control in outcome.controls
    )
    weakened = f"<p>Weakened on purpose:</p><ul>{controls}</ul>" if controls else ""
    tables = "".join(table.html() for table in outcome.tables)
    return f"<section><h2>{escape(name)}</h2>{said}{''.join(outcome.pictures)}{tables}{weakened}</section>"
