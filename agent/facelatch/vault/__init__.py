# SPDX-License-Identifier: Apache-2.0
"""What is on disk: the device key, sealed records and the store that keeps them."""
