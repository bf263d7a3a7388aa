# SPDX-License-Identifier: Apache-2.0
"""The demo: one public-domain portrait, sessions made from it, and a story told by the real agent."""
