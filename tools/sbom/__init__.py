# SPDX-License-Identifier: Apache-2.0
"""Says what is in a wheel or a Debian package of ours, and under which licences (CycloneDX)."""
