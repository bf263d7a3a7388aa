# SPDX-License-Identifier: Apache-2.0
"""What ships fits together, and what does not is refused."""

from __future__ import annotations

import msgspec
import pytest

from facelatch import shipped
from facelatch.errors import ParameterSetError
from facelatch.models import ENCODER, manifest


def test_the_parameter_set_fits_the_encoder() -> None:
    assert shipped.parameter_set("standard").name == "standard"


def test_a_parameter_set_of_another_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = msgspec.structs.replace(manifest().models[ENCODER], sha256="0" * 64)
    updated = msgspec.structs.replace(manifest(), models={**manifest().models, ENCODER: other})
    monkeypatch.setattr(shipped, "manifest", lambda: updated)
    with pytest.raises(ParameterSetError, match=f"'standard' was fitted to another encoder than {ENCODER}"):
        shipped.parameter_set("standard")
