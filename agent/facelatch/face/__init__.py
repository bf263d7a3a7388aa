# SPDX-License-Identifier: Apache-2.0
"""From a picture to an embedding: detect, align, judge, encode. Knows no files, no time and no policy."""
