# SPDX-License-Identifier: Apache-2.0
"""The real agent with a crowd before its sockets: ``python -m tests.load``."""
