# SPDX-License-Identifier: Apache-2.0
"""Evidence that a face is there and not a picture of one, from a short burst of looks. Knows no clock and no policy.

Each cue by itself can deny; nothing is averaged across cues (ADR 0017).
"""

from facelatch.face.liveness.appearance import AntiSpoof
from facelatch.face.liveness.burst import Bounds, Burst, Finding, Reason, Verdict
from facelatch.face.liveness.challenge import Challenge, Side

__all__ = ["AntiSpoof", "Bounds", "Burst", "Challenge", "Finding", "Reason", "Side", "Verdict"]
