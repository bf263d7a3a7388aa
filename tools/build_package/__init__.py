# SPDX-License-Identifier: Apache-2.0
"""Builds the Debian package from this tree."""
