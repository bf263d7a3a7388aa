# SPDX-License-Identifier: Apache-2.0
"""Programs for those who build and judge Facelatch; none of them runs on the device."""
