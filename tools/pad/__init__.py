# SPDX-License-Identifier: Apache-2.0
"""How well the liveness check tells people from pictures of them, in the terms of ISO/IEC 30107-3."""
