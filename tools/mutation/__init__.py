# SPDX-License-Identifier: Apache-2.0
"""Mutation testing: small faults are put into the pure modules one by one, and a fast subset of tests has to notice."""
