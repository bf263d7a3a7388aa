# SPDX-License-Identifier: Apache-2.0
"""The tests, a record and the times on the Pi's architecture, emulated: ``python -m tests.aarch64``."""
