# SPDX-License-Identifier: Apache-2.0
"""What was measured, as a Markdown table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field

from tools.bench.clock import Times
from tools.decoding.tables import Table

# In the JSON; others stand beside them.
KEYS = (
    *("frame_to_verdict_ms", "dlib_ms", "ratio_vs_dlib", "encode_int8_ms", "encode_float_ms", "decode_ms", "rss_mb"),
    *("dlib_rss_mb", "ready_ms", "cli_status_ms", "stored_bytes_per_user"),
)
Value = float | int | str | None


@dataclass
class Figures:
    """Figures by name, in the order in which they were taken. A slash in a name makes a table of its own in the JSON.

    Attributes:
        times: in milliseconds.
        values: all others.
        missing: what was not measured, and why.
    """

    times: dict[str, Times] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, others: Figures) -> None:
        """Take in what another part measured."""
        self.times |= others.times
        self.values |= others.values
        self.missing |= others.missing

    def table(self) -> str:
        """Return Markdown."""
        timed = [
            [name, f"{taken.median:.4g}", f"{taken.p95:.4g}", "" if taken.busy is None else f"{taken.busy:.4g}"]
            for name, taken in self.times.items()
        ]
        others = [[name, str(value)] for name, value in self.values.items()]
        tables = [
            Table(
                "Milliseconds over warm repeats, on one core", ["figure", "median", "95 % within", "processor"], timed
            ),
            Table("All else", ["figure", "value"], others),
        ]
        if self.missing:
            rows = [[name, why] for name, why in self.missing.items()]
            tables.append(Table("Not measured", ["what", "why"], rows))
        return "\n".join(table.markdown() for table in tables)

    def json(self) -> dict[str, object]:
        """Return what JSON can hold: medians by name, then the 95 % quantiles and processor times likewise.

        What was not measured is null where a key is asked for.
        """
        medians = _nested({name: round(taken.median, 4) for name, taken in self.times.items()})
        return {
            **dict.fromkeys(KEYS),
            **medians,
            **_nested(self.values),
            "p95_ms": _nested({name: round(taken.p95, 4) for name, taken in self.times.items()}),
            "processor_ms": _nested(
                {name: round(taken.busy, 4) for name, taken in self.times.items() if taken.busy is not None}
            ),
            "not_measured": self.missing,
        }


def _nested(flat: dict[str, Value] | dict[str, float]) -> dict[str, object]:
    nested: dict[str, object] = {}
    for name, value in flat.items():
        table, _, key = name.partition("/")
        if key:
            inner = nested.setdefault(table, {})
            assert isinstance(inner, dict)
            inner[key] = value
        else:
            nested[name] = value
    return nested
