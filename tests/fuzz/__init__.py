# SPDX-License-Identifier: Apache-2.0
"""Everything that reads bytes of others, given bytes that nobody meant: `python -m tests.fuzz TARGET|all`.

``target`` says what a target is, ``*_targets`` are the targets, ``engine`` runs one under libFuzzer, ``corpus/`` and
``crashes/`` hold what was found; the ordinary suite replays both (tests/unit/test_fuzz.py), which needs no fuzzer.
"""
