# SPDX-License-Identifier: Apache-2.0
"""What ships fits together, and what does not is refused."""

from __future__ import annotations

import msgspec
import pytest

from facelatch import shipped
from facelatch.errors import ParameterSetError
from facelatch.l2fe.parameters import PINNED
from facelatch.models import ENCODER, manifest


@pytest.mark.parametrize("name", sorted(PINNED))
def test_every_parameter_set_fits_the_encoders(name: str) -> None:
    assert shipped.parameter_set(name).name == name


def test_a_parameter_set_of_another_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = msgspec.structs.replace(manifest().models[ENCODER], sha256="0" * 64)
    updated = msgspec.structs.replace(manifest(), models={**manifest().models, ENCODER: other})
    monkeypatch.setattr(shipped, "manifest", lambda: updated)
    with pytest.raises(ParameterSetError, match="'standard' was fitted to other encoders than those that ship"):
        shipped.parameter_set("standard")
