# SPDX-License-Identifier: Apache-2.0
"""The agent itself: it alone knows the policy - when to look, whom to try, what counts as a failure."""
