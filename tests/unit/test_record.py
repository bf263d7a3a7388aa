# SPDX-License-Identifier: Apache-2.0
"""The sealed record: whole, or refused for the right reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelatch.errors import (
    RecordCorruptError,
    RecordError,
    RecordKeyError,
    RecordParameterError,
    RecordVersionError,
)
from facelatch.l2fe.extractor import HelperData, Sketch
from facelatch.vault.device_key import HostFileKey
from facelatch.vault.record import (
    MAX_USER_BYTES,
    Account,
    Header,
    Record,
    rekeyed,
    require_parameters,
    seal,
    sealed_under,
    unseal,
)

KEY = HostFileKey(bytes(range(32)))
OTHER_KEY = HostFileKey(bytes(range(1, 33)))
ID = bytes(range(16))
NAME = ID.hex()
HELPER = HelperData(
    sketch=Sketch(seed=b"s" * 32, c=np.arange(48, dtype=np.int64) * 250),
    salt=b"t" * 16,
    wrapped=b"w" * 72,
    verify_key=b"v" * 32,
    seal_key=b"x" * 32,
)
RECORD = Record(Header(b"p" * 32, KEY.key_id, ID, 3, "änna"), Account(True, 12345, 7, 99), HELPER)
SEALED = seal(RECORD, KEY)


def test_what_is_sealed_comes_back_whole() -> None:
    opened = unseal(SEALED, KEY, NAME)
    assert (opened.header, opened.account, opened.pepper) == (RECORD.header, Account(True, 12345, 7, 99), None)
    assert np.array_equal(opened.helper.sketch.c, HELPER.sketch.c)
    assert replace(opened.helper, sketch=HELPER.sketch) == HELPER


def test_nothing_but_magic_version_and_key_id_is_readable() -> None:
    again = seal(RECORD, KEY)
    assert SEALED[:12] == again[:12] == b"FLR\x01" + KEY.key_id
    # Two seals of one record agree in no more bytes than chance has it.
    same = sum(a == b for a, b in zip(SEALED[12:], again[12:], strict=True))
    assert same < 12
    for secret in ("änna".encode(), HELPER.salt, HELPER.sketch.seed, HELPER.verify_key, ID):
        assert secret not in SEALED


@given(position=st.integers(0, len(SEALED) - 1), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(position: int, bit: int) -> None:
    altered = bytearray(SEALED)
    altered[position] ^= 1 << bit
    with pytest.raises(RecordError):
        unseal(bytes(altered), KEY, NAME)


@given(length=st.integers(0, len(SEALED) - 1))
def test_any_truncation_is_refused_as_such(length: int) -> None:
    with pytest.raises(RecordCorruptError, match=NAME):
        unseal(SEALED[:length], KEY, NAME)


@given(data=st.binary(max_size=600))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    with pytest.raises(RecordError):
        unseal(data, KEY, NAME)


def test_another_device_key_is_named_as_such_and_not_called_corrupt() -> None:
    with pytest.raises(RecordKeyError, match=f"{NAME} belongs to another device key"):
        unseal(SEALED, OTHER_KEY, NAME)


def test_after_a_change_of_the_device_key_a_record_keeps_the_pepper_it_was_made_with() -> None:
    moved = seal(rekeyed(RECORD, KEY), OTHER_KEY)
    with pytest.raises(RecordKeyError):
        unseal(moved, KEY, NAME)
    opened = unseal(moved, OTHER_KEY, NAME)
    assert opened.header == RECORD.header
    assert opened.context(OTHER_KEY) == RECORD.context(KEY)
    again = unseal(seal(rekeyed(opened, OTHER_KEY), KEY), KEY, NAME)
    assert again.context(KEY) == RECORD.context(KEY)


def test_a_record_made_elsewhere_and_sealed_here_without_its_pepper_is_refused() -> None:
    with pytest.raises(RecordCorruptError):
        unseal(seal(RECORD, OTHER_KEY), OTHER_KEY, NAME)


def test_another_version_is_named_as_such() -> None:
    with pytest.raises(RecordVersionError, match="format 2"):
        unseal(b"FLR\x02" + SEALED[4:], KEY, NAME)


def test_a_record_under_another_name_is_refused() -> None:
    with pytest.raises(RecordCorruptError, match="holds another record"):
        unseal(SEALED, KEY, "0" * 32)


def test_a_record_of_another_parameter_set_is_named_as_such() -> None:
    require_parameters(RECORD, b"p" * 32, 12289, 48)
    with pytest.raises(RecordParameterError):
        require_parameters(RECORD, b"q" * 32, 12289, 48)


@pytest.mark.parametrize(("q", "k"), [(11750, 48), (12289, 47)])
def test_a_sketch_out_of_range_is_refused(q: int, k: int) -> None:
    with pytest.raises(RecordCorruptError):
        require_parameters(RECORD, b"p" * 32, q, k)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is truncated: remove its file and enrol again$"),
        (SEALED[:51], "is truncated: remove its file and enrol again$"),
        (SEALED[:52], "is truncated or altered: remove its file and enrol again$"),
        (b"FLS" + SEALED[3:], "is not a record: remove the file$"),
        (SEALED + b"x", "is truncated or altered: remove its file and enrol again$"),
    ],
    # Sealed anew in each process: the bytes are no name for a test.
    ids=["nothing", "no whole header", "no whole tag", "another magic", "longer"],
)
def test_what_is_wrong_with_a_file_is_said(data: bytes, said: str) -> None:
    with pytest.raises(RecordCorruptError, match=f"record {NAME} {said}"):
        unseal(data, KEY, NAME)


def test_the_key_a_file_names_is_told_where_there_is_one() -> None:
    assert sealed_under(SEALED) == sealed_under(SEALED[:12]) == KEY.key_id
    assert sealed_under(SEALED[:11]) is None


def test_a_new_account_was_never_refreshed() -> None:
    account = Account(administrator=False, enrolled_usec=5)
    assert (account.refreshes, account.refreshed_usec) == (0, 0)
    assert account.encode() == bytes(1) + (5).to_bytes(8, "little") + bytes(10)


def test_a_user_name_has_up_to_255_bytes() -> None:
    assert MAX_USER_BYTES == 255
    longest = replace(RECORD, header=replace(RECORD.header, user="a" * MAX_USER_BYTES))
    assert unseal(seal(longest, KEY), KEY, NAME).header.user == "a" * 255


@pytest.mark.parametrize(("q", "k"), [(11751, 48), (12289, 48)])
def test_a_sketch_just_within_range_is_taken(q: int, k: int) -> None:
    require_parameters(RECORD, b"p" * 32, q, k)
