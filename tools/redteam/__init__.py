# SPDX-License-Identifier: Apache-2.0
"""Attacks on what a device stores, measured: ``python -m tools.redteam``."""
