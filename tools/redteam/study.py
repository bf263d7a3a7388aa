# SPDX-License-Identifier: Apache-2.0
"""The search attack behind several lattices: what ADR 0009 rests on. Not part of a run unless it is asked for."""

from __future__ import annotations

from tools.redteam import lattices, ranks, records
from tools.redteam.part import Job, Outcome

# k and G, in bits, of the cells to try, and synthetic records of each.
DIMENSIONS = (24, 48)
GUESSWORK = (6.0, 9.0, 12.0, 15.0, 18.0)
RECORDS = 100
_QUICK = ((24,), (0.0,), 8)


def compare_lattices(job: Job) -> Outcome:
    """Attack synthetic records and real ones behind Leech lattices, a q-ary one and whole numbers."""
    dimensions, bits, count = _QUICK if job.quick else (DIMENSIONS, GUESSWORK, RECORDS)
    tables = []
    for k in dimensions:
        tried = (lattices.cubic(k), lattices.leeches(k), lattices.q_ary(k))
        for people in (records.synthetic(job.parameters, k, count, job.seed), records.real(job.sources, job.data, k)):
            tables.append(ranks.compared(people, tried, bits, job.seed))
            tables.append(ranks.listing(people, tried, bits[0], job.seed))
    return Outcome({"tables": [[table.title, table.columns, *table.rows] for table in tables]}, tables)
