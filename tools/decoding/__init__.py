# SPDX-License-Identifier: Apache-2.0
"""How near the decoder comes to the best possible one, what it costs, and whether another lattice would do better."""
