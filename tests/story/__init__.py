# SPDX-License-Identifier: Apache-2.0
"""The installed package on a real Debian, booted in a container: ``python -m tests.story``."""
