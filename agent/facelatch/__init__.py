# SPDX-License-Identifier: Apache-2.0
"""Facelatch: face unlock for small Linux devices that stores helper data, never a face."""

__version__ = "0.1.0"
