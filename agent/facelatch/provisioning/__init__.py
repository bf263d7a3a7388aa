# SPDX-License-Identifier: Apache-2.0
"""Makes the encrypted volume that the agent's state lies on; run once, by root (``facelatch-provision``)."""
