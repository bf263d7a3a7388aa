# SPDX-License-Identifier: Apache-2.0
"""How often the agent lets in whom, and how hard its records are to guess, on any folder of faces."""
