# SPDX-License-Identifier: Apache-2.0
"""L2FE-Hash: from an embedding to a key, and back. Pure functions on arrays and bytes; no files, no time, no policy."""
