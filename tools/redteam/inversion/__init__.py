# SPDX-License-Identifier: Apache-2.0
"""Inversion: from what is stored back to the embedding, and from the embedding to a picture of the face."""
