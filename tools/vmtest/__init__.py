# SPDX-License-Identifier: Apache-2.0
"""The whole story in a booted machine, all of whose hardware is emulated."""
