# SPDX-License-Identifier: Apache-2.0
"""What counts as a message, and what never gets further than that question."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelatch.ipc.wire import MessageError, decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_encoded_decodes_to_itself(message: dict[str, object]) -> None:
    assert decode(encode(message)) == message
    assert b"\0" not in encode(message)


@given(st.binary())
def test_bytes_are_a_message_or_an_error(junk: bytes) -> None:
    with suppress(MessageError):
        assert isinstance(decode(junk), dict)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"method"',
        b"null",
        b"{} {}",
        b'{"a": \xff}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32"),
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
)
def test_malformed_messages_are_refused(junk: bytes) -> None:
    with pytest.raises(MessageError):
        decode(junk)


def test_a_refusal_does_not_quote_the_message() -> None:
    with pytest.raises(MessageError) as refusal:
        decode(b'{"secret": hunter2}')
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None
