# SPDX-License-Identifier: Apache-2.0
"""What the agent costs, beside what a user would run instead, how that grows, and a guard against its growing."""
