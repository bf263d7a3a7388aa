# SPDX-License-Identifier: Apache-2.0
"""Attacks on keys: on what guards a guess, on files put in other places, on what an enrolment and a refresh take in."""

from __future__ import annotations

from tools.decoding.tables import Table
from tools.redteam import impostors, records_at_rest
from tools.redteam.part import Job, Outcome


def attack(job: Job) -> Outcome:
    """Run them all, and say which of them the design prevents."""
    guesses, unstretched = records_at_rest.unstretched(job)
    swapped, loose = records_at_rest.swapped(job)
    restored = records_at_rest.restored(job)
    hostile, unpinned = records_at_rest.hostile_parameters(job)
    morphs, morphed = impostors.two_in_one(job)
    daily, poisoned, unbounded = impostors.poisoned(job)
    tried = {**swapped, **restored, **hostile}
    rows = [[name.replace("_", " "), "yes" if gives else "no"] for name, gives in tried.items()]
    tables = [
        Table("Records, cards and parameter sets exchanged: does it give way?", ["attack", "gives way"], rows),
        Table(
            "Two people in one enrolment, by embeddings of photographs",
            ["shown at the enrolment", "refused", "opens for the first", "for the second", "for both (95 %)"],
            morphs,
        ),
        Table(
            "Poisoned refreshes, made-up people, one look a day",
            ["who comes", "moved, in deviations", "attacker opens it", "on day (median)", "owner still opens it"],
            daily,
        ),
    ]
    figures = {
        "unstretched": guesses,
        **tried,
        "two_in_one": morphed,
        "poisoned": poisoned,
    }
    both = morphed["blend"]["both_open"]
    said = [
        f"Two people's looks blended into one enrolment opened for both of them in {both:.0%} of cases.",
        "An old copy of the card brings back removed users and forgets failed attempts: revoke a key where it is "
        "trusted.",
    ]
    return Outcome(figures, tables, [unstretched, loose, unpinned, unbounded], said)
