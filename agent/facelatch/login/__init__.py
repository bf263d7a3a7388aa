# SPDX-License-Identifier: Apache-2.0
"""Logins on the device: what PAM asks, and when a face may not answer."""
