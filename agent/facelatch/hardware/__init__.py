# SPDX-License-Identifier: Apache-2.0
"""Button, indicator and latch, each behind one small protocol."""
